//go:build linux

// Package samepath lets a job see its workspace at the path that the tree has on the client, in a
// mount namespace of its own.
//
// A supervisor decides with New whether and how that can be, and Starts each step through the
// verb "enter" of its own binary: that process makes the mounts, gives up the rights it made them
// with and becomes the tool.
package samepath

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Request says what is to be seen where.
type Request struct {
	Root      string // the path to see it at, absolute and clean
	Workspace string // the directory to see, absolute
	Records   string // directory in which the mount points that were made are written down
	Keep      []Kept // what the job must not lose sight of
}

// Kept is a directory that Root may neither be nor contain.
type Kept struct {
	What   string // for people: "the home directory"
	Path   string
	Inside bool // nor may Root lie inside it
}

// Off says why a job sees its workspace where the host keeps it.
type Off struct{ Why string }

func (o *Off) Error() string { return o.Why }

func off(format string, args ...any) error { return &Off{fmt.Sprintf(format, args...)} }

// Place is where a job sees its workspace.
type Place struct {
	Root string

	plan    plan
	records string
	held    *os.File // the mount point, locked so that nobody removes it
	binary  *os.File // this program, whatever becomes of its file
}

// plan is what the entering process does.
type plan struct {
	Root      string `json:"root"`
	Workspace string `json:"workspace"`
	Mirror    string `json:"mirror,omitempty"`  // the directory that is mirrored because Root cannot be made in it
	Without   string `json:"without,omitempty"` // its entry that makes room for the way to Root
}

// New decides how Root can be had and makes the mount point where the user may. An error of
// type Off says why not; any other is a reason as well.
func New(r Request) (*Place, error) {
	if err := r.judge(); err != nil {
		return nil, err
	}
	p := &Place{Root: r.Root, records: r.Records, plan: plan{Root: r.Root, Workspace: r.Workspace}}
	err := p.settle(r)
	if err == nil {
		p.binary, err = os.Open("/proc/self/exe")
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// settleTries bounds how often a mount point may vanish under another job's end.
const settleTries = 8

// settle finds the mount point, makes it or plans a mirror.
func (p *Place) settle(r Request) error {
	for range settleTries {
		g, err := survey(r.Root)
		if err != nil {
			return err
		}
		if g.base != "" && (g.hidden != "" || unix.Access(g.base, unix.W_OK|unix.X_OK) != nil) {
			p.plan.Mirror, p.plan.Without = g.base, g.hidden
			return r.judgeMirror(g)
		}
		if g.base != "" {
			if err := r.make(g); err != nil {
				return err
			}
		}
		held, ok, err := hold(r.Root)
		if err != nil || ok {
			p.held = held
			return err
		}
	}
	return off("%s comes and goes on the host", r.Root)
}

// Close gives back what New took and removes the directories that it made and that are empty.
func (p *Place) Close() error {
	if p.binary != nil {
		p.binary.Close()
	}
	p.release()
	return unmakeAbove(p.records, p.Root)
}

// release gives the lock back, also where a process that was forked a moment ago still has a
// copy of the descriptor.
func (p *Place) release() {
	if p.held != nil {
		_ = unix.Flock(int(p.held.Fd()), unix.LOCK_UN)
		p.held.Close()
	}
}
