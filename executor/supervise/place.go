//go:build linux

package supervise

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/command"
	"github.com/cyclops-fpga/cyclops/executor/environ"
	"github.com/cyclops-fpga/cyclops/executor/samepath"
)

// place is where the job sees its workspace, if not where the host keeps it.
type place struct {
	*samepath.Place
	required bool
	self     []string
}

// findPlace decides whether the job can see its workspace at the client's path. host is the
// environment that the host gives it, setUp what the tools made of that, env all of it.
func (s *supervisor) findPlace(host, setUp, env []string) error {
	if s.job.SamePath == nil {
		return nil
	}
	p, err := s.tryPlace(host, setUp, env)
	if err == nil {
		s.place = &place{Place: p, required: s.job.SamePath.Require, self: s.self()}
		return nil
	}
	return s.noPlace(err)
}

// noPlace notes why the job does not see its workspace at the client's path; where that is
// required it is an error.
func (s *supervisor) noPlace(err error) error {
	if s.job.SamePath.Require {
		return api.Errorf(api.Invalid, "--same-path=auto runs it all the same",
			"the job cannot see its workspace at %s, as --same-path=require asks: %w", s.job.SamePath.Root, err)
	}
	s.record.Workspace.NotSeen = err.Error()
	return nil
}

func (s *supervisor) tryPlace(host, setUp, env []string) (*samepath.Place, error) {
	if s.job.SetUID {
		return nil, errors.New("the job asks for set-uid programs")
	}
	if name := boardOf(s.launch.around()); name != "" {
		return nil, fmt.Errorf("the job holds %s", name)
	}
	return samepath.New(samepath.Request{
		Root: s.job.SamePath.Root, Workspace: s.record.Workspace.Path, Records: s.launch.Data.Mounts(),
		Keep: s.kept(host, setUp, env),
	})
}

// boardOf returns a leased resource that is called a board. Its tools reach it through device files
// and set-uid helpers.
func boardOf(leased iter.Seq[string]) string {
	for name := range leased {
		if name == "board" || strings.HasPrefix(name, "board.") {
			return name
		}
	}
	return ""
}

// kept lists the directories that the workspace may not hide from the job.
func (s *supervisor) kept(host, setUp, env []string) []samepath.Kept {
	all := []samepath.Kept{
		{What: "the data directory", Path: string(s.launch.Data), Inside: true},
		{What: "the home directory", Path: environ.Get(s.launch.vars(), "HOME")},
		{What: "the job's temporary directory", Path: environ.Get(env, "TMPDIR")},
	}
	if home, err := os.UserHomeDir(); err == nil {
		all = append(all, samepath.Kept{What: "the home directory", Path: home})
	}
	for _, dir := range s.toolDirs(host, setUp, env) {
		// What is not there cannot be hidden.
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			all = append(all, samepath.Kept{What: "a directory of tools", Path: dir})
		}
	}
	return all
}

var absolutePath = regexp.MustCompile(`/[^\s'"$;&|()<>]+`)

// toolDirs lists where the job's tools are: the directories of its PATH, those that the host's
// config names, and those that a tool's set-up put into variables.
func (s *supervisor) toolDirs(host, setUp, env []string) []string {
	dirs := filepath.SplitList(environ.Get(setUp, "PATH"))
	for _, v := range setUp {
		if name, value, _ := strings.Cut(v, "="); !slices.Contains(host, v) && name != "TMPDIR" && name != "HOME" {
			dirs = append(dirs, filepath.SplitList(value)...)
		}
	}
	for _, t := range s.launch.Tools {
		for _, path := range absolutePath.FindAllString(t.Setup, -1) {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	for _, dir := range filepath.SplitList(environ.Get(env, "PATH")) {
		if !s.inTree(dir) {
			dirs = append(dirs, dir)
		}
	}
	return slices.DeleteFunc(dirs, func(dir string) bool { return !filepath.IsAbs(dir) })
}

// inTree tells whether a directory of the PATH that the client asks for is one of its own tree,
// so that the job finds it there all the same.
func (s *supervisor) inTree(dir string) bool {
	rel, err := filepath.Rel(s.job.SamePath.Root, dir)
	if err != nil || rel == "." || !filepath.IsLocal(rel) {
		return false
	}
	info, err := os.Stat(filepath.Join(s.record.Workspace.Path, rel))
	return err == nil && info.IsDir()
}

// startThere starts a step at its place. It is not ok when the step has to run where the host
// keeps the workspace.
func (s *supervisor) startThere(argv, env []string, attr *syscall.ProcAttr) (pid int, done <-chan unix.WaitStatus, ok bool, err error) {
	w, err := s.place.Wrap(s.place.self, samepath.Step{
		Argv: argv, Env: environ.Set(env, "PWD", filepath.Join(s.place.Root, s.job.Dir)), Dir: s.job.Dir, Mark: Mark + "=" + s.job.ID,
	}, attr)
	if err != nil {
		return 0, nil, false, s.leavePlace(err)
	}
	defer w.Close()
	if err = samepath.Held(func() error { pid, done, err = s.children.start(w.File, w.Argv, w.Attr); return err }); err != nil {
		return 0, nil, false, s.leavePlace(samepath.Refused(err))
	}
	var no *command.Cannot
	switch err = w.Await(s.stop.ctx.Done()); {
	case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
		s.seen()
		return pid, done, true, nil
	case errors.As(err, &no):
		<-done
		s.seen()
		return 0, nil, true, no
	}
	if status := <-done; status.Signaled() {
		ended := make(chan unix.WaitStatus, 1)
		ended <- status
		return pid, ended, true, nil // somebody ended it before it was the tool
	}
	return 0, nil, false, s.leavePlace(err)
}

// seen notes that a step ran at the client's path.
func (s *supervisor) seen() { s.record.Workspace.Seen = s.place.Root }

// leavePlace goes on without a place, unless it is required.
func (s *supervisor) leavePlace(err error) error {
	err = s.noPlace(err)
	s.closePlace()
	return err
}

// closePlace removes the mount point, if it was made. That it cannot be is no failure of the job's.
func (s *supervisor) closePlace() {
	if s.place == nil {
		return
	}
	err := s.place.Close()
	s.place = nil
	if err != nil {
		s.extra("mountPoint", err.Error(), true)
	}
}
