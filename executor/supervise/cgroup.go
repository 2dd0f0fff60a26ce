//go:build linux

package supervise

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/layout"
)

// cgroup is the control groups of a job's own, one in each hierarchy where this process's own
// group may be divided: whatever the job's processes start is in them too, so that all can be
// counted, and killed at once, even while they fork. Where there is none, descent and mark must do.
type cgroup struct {
	note    string            // file that names the groups, for a daemon that outlives this process
	dirs    []string          // one in each hierarchy
	unified *os.File          // the one of version 2; nil: none
	entries []entry           // those of version 1
	holds   map[string]string // controller → directory in which it counts
	without map[string]string // controller → why it does not
}

// entry is the way of a thread into a group of version 1, and back.
type entry struct{ in, out *os.File }

// The controllers that are used.
const (
	pids   = "pids"
	memory = "memory"
)

// makeCgroup makes what groups can be had and has them count and limit.
func makeCgroup(data layout.Data, id string, limits Limits) *cgroup {
	g := &cgroup{note: data.Groups(id), holds: map[string]string{}, without: map[string]string{}}
	own, err := ownGroups()
	if err == nil {
		err = g.write(own, id) // before they are made: else a daemon that comes later would not know of them
	}
	for _, c := range []string{pids, memory} {
		g.without[c] = "this user has no control group that counts it"
		if err != nil {
			g.without[c] = err.Error()
		}
	}
	if err != nil {
		return g
	}
	for _, h := range own {
		g.make(h, h.child(id))
	}
	if len(g.dirs) == 0 {
		os.Remove(g.note)
	}
	g.limit(limits)
	return g
}

// write notes where the groups of a job are.
func (g *cgroup) write(own []hierarchy, id string) error {
	if len(own) == 0 {
		return nil
	}
	var paths strings.Builder
	for _, h := range own {
		paths.WriteString(h.child(id) + "\n")
	}
	if err := os.WriteFile(g.note, []byte(paths.String()), 0o600); err != nil {
		return fmt.Errorf("unable to note the job's control groups: %w", err)
	}
	return nil
}

// make makes the group in one hierarchy.
func (g *cgroup) make(h hierarchy, path string) {
	err := os.Mkdir(path, 0o700)
	if err == nil {
		if err = g.open(h, path); err == nil {
			g.dirs = append(g.dirs, path)
		} else {
			os.Remove(path)
		}
	}
	for _, c := range h.controllers {
		if g.holds[c] != "" {
			continue // version 1 has it
		}
		if err == nil {
			err = h.enable(c)
		}
		if err == nil {
			g.holds[c] = path
		} else {
			g.without[c] = err.Error()
		}
	}
}

// open opens what processes come into the group through.
func (g *cgroup) open(h hierarchy, path string) (err error) {
	if h.unified {
		g.unified, err = os.Open(path)
		return err
	}
	in, err := os.OpenFile(filepath.Join(path, "tasks"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(filepath.Join(h.dir, "tasks"), os.O_WRONLY, 0)
	if err != nil {
		return errors.Join(err, in.Close())
	}
	g.entries = append(g.entries, entry{in, out})
	return nil
}

// inside runs start, which starts a process, such that the process begins in the groups of version
// 1: it is born where the thread is that forks.
func (g *cgroup) inside(start func() error) (err error) {
	if len(g.entries) == 0 {
		return start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// A process is where its first thread is: a step that uses up the group's memory before that has
		// left would have the kernel kill the supervisor. While this one holds it another does it.
		done := make(chan error)
		go func() { done <- g.inside(start) }()
		return <-done
	}
	self := []byte(strconv.Itoa(unix.Gettid()))
	for _, e := range g.entries {
		defer func() {
			if _, werr := e.out.WriteAt(self, 0); werr != nil {
				err = errors.Join(err, fmt.Errorf("unable to leave the job's control group: %w", werr))
			}
		}()
		if _, err := e.in.WriteAt(self, 0); err != nil {
			return fmt.Errorf("unable to enter the job's control group: %w", err)
		}
	}
	return start()
}

// into returns attr such that the process begins in the group of version 2.
func (g *cgroup) into(attr *syscall.ProcAttr) *syscall.ProcAttr {
	if g.unified == nil {
		return attr
	}
	sys := *attr.Sys
	sys.UseCgroupFD, sys.CgroupFD = true, int(g.unified.Fd())
	return &syscall.ProcAttr{Dir: attr.Dir, Env: attr.Env, Files: attr.Files, Sys: &sys}
}

// fork starts a process inside the groups. Where the kernel does not go along the process runs
// outside of them, and what they were to limit is not limited. A limit that is reached, though, is
// no reason to start it elsewhere.
func (g *cgroup) fork(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	start := func(attr *syscall.ProcAttr) func() error {
		return func() error { pid, err = syscall.ForkExec(path, argv, attr); return err }
	}
	err = g.inside(start(g.into(attr)))
	if err == nil || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOMEM) || len(g.dirs) == 0 {
		return pid, err
	}
	why := err
	if g.unified != nil && g.inside(start(attr)) == nil {
		g.outside(why, g.unified.Name())
		return pid, nil
	}
	if err = start(attr)(); err == nil {
		g.outside(why, g.dirs...)
	}
	return pid, err
}

// outside notes that a process is not in these groups.
func (g *cgroup) outside(why error, dirs ...string) {
	for c, dir := range g.holds {
		if slices.Contains(dirs, dir) {
			g.holds[c], g.without[c] = "", why.Error()
		}
	}
}

// kill kills all processes in the groups; kernels before 5.14 cannot do that in one step.
func (g *cgroup) kill() {
	for _, dir := range g.dirs {
		killGroup(dir)
	}
}

func killGroup(dir string) {
	if os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0) == nil {
		return
	}
	list, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return
	}
	for line := range bytes.Lines(list) {
		if pid, err := strconv.Atoi(string(bytes.TrimSpace(line))); err == nil && pid != os.Getpid() {
			unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// remove gives the groups back. One that cannot be, because a process does not die, stays noted.
func (g *cgroup) remove() {
	if g.unified != nil {
		g.unified.Close()
	}
	for _, e := range g.entries {
		e.in.Close()
		e.out.Close()
	}
	killCgroup(g.note)
}

// killCgroup kills what is in the groups that a note names, and tells whether nothing is left of
// them, nor of the note. What is no job's group is not touched: anybody who can write a note is
// this user, but may be mistaken.
func killCgroup(note string) bool {
	paths, err := os.ReadFile(note)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	gone := true
	for line := range strings.Lines(string(paths)) {
		dir := strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(filepath.Base(dir), groupPrefix) {
			continue
		}
		killGroup(dir)
		err := os.Remove(dir)
		gone = gone && (err == nil || errors.Is(err, fs.ErrNotExist))
	}
	if gone {
		err := os.Remove(note)
		gone = err == nil || errors.Is(err, fs.ErrNotExist)
	}
	return gone
}
