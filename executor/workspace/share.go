//go:build linux

package workspace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// Share is the place of a concurrent job among those that run in the same workspace at once: a
// shared lock on a file, for as long as the job may write. Nobody else holding one is what makes an
// apply free to restore inputs; while others do, what they write must stay theirs.
//
// The file's lines say what an apply has to know of them: "at NANOS OWNER", when the owner made
// the newest job whose snapshot was applied, and "made SUM NAME", what a job's client was given.
type Share struct {
	file   *os.File
	alone  bool
	newest map[string]int64 // by owner, of the jobs whose snapshots were applied
	made   map[string]bool  // by madeKey
}

// Made is a file that a concurrent job wrote, as its client gets it.
type Made struct {
	Name string
	Sum  manifest.Sum
}

// sharePath begins with a dot, as no workspace's name can.
func sharePath(workspaces, name string) string { return workspaces + "/." + name + ".share" }

// openShare takes a place. The caller holds the journal, so that no two join at once. The first one in
// finds the file's lines out of date: they are about jobs that have ended.
func openShare(path string) (*Share, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("unable to share the workspace: %w", err)
	}
	s := &Share{file: file, newest: map[string]int64{}, made: map[string]bool{}}
	err = s.flock(unix.LOCK_EX | unix.LOCK_NB)
	if s.alone = err == nil; s.alone {
		err = file.Truncate(0)
	} else if errors.Is(err, unix.EWOULDBLOCK) {
		err = s.load()
	}
	if err == nil {
		err = s.flock(unix.LOCK_SH)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("unable to share the workspace: %w", err)
	}
	return s, nil
}

func (s *Share) flock(how int) error {
	return ignoringEINTR(func() error { return unix.Flock(int(s.file.Fd()), how) })
}

func (s *Share) load() error {
	data, err := io.ReadAll(s.file)
	if err != nil {
		return err
	}
	for line := range bytes.Lines(data) {
		kind, rest, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		value, quoted, _ := strings.Cut(rest, " ")
		name, err := strconv.Unquote(quoted)
		switch at, bad := strconv.ParseInt(value, 10, 64); {
		case err != nil:
		case kind == "at" && bad == nil:
			s.newest[name] = max(s.newest[name], at)
		case kind == "made":
			s.made[value+" "+name] = true
		}
	}
	return nil
}

// behind tells whether a job that the same owner made later has been applied while others run. Its
// snapshot holds all that this one needs: what was there before this job was made was there before
// that one, too. Applied now, the older one would take away from under the others what came since.
func (s *Share) behind(owner string, created time.Time) bool {
	return s != nil && !s.alone && !created.IsZero() && created.UnixNano() < s.newest[owner]
}

// note enters that a job's snapshot is being applied.
func (s *Share) note(owner string, created time.Time) error {
	if s == nil || created.IsZero() {
		return nil
	}
	_, err := fmt.Fprintf(s.file, "at %d %s\n", created.UnixNano(), strconv.Quote(owner))
	return err
}

// gave tells whether the client has what it has at a path from a job that ran here meanwhile: then
// what lies there by now is newer, never the client's own change.
func (s *Share) gave(name string, sum manifest.Sum) bool { return s.made[sum.String()+" "+name] }

// Give enters what a client is about to be given, before it can come back in a snapshot.
func (s *Share) Give(list []Made) error {
	var lines []byte
	for _, m := range list {
		lines = append(lines, "made "+m.Sum.String()+" "+strconv.Quote(m.Name)+"\n"...)
	}
	if _, err := s.file.Write(lines); err != nil {
		return fmt.Errorf("unable to share the workspace: %w", err)
	}
	return nil
}

// Close leaves. Nothing of the job may write any more.
func (s *Share) Close() error { return s.file.Close() }
