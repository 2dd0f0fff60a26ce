//go:build linux

package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/environ"
	"github.com/cyclops-fpga/cyclops/executor/packs"
	"github.com/cyclops-fpga/cyclops/executor/workspace"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// prepare brings the workspace to the job's inputs and returns the environment and the
// directory that its steps start in.
func (s *supervisor) prepare(ctx context.Context) ([]string, string, error) {
	path := s.record.Workspace.Path
	if err := s.apply(ctx); err != nil {
		return nil, "", err
	}
	dir, err := startDir(path, s.job.Dir)
	if err != nil {
		return nil, "", err
	}
	host, err := s.private(s.launch.vars())
	if err != nil {
		return nil, "", err
	}
	setUp, err := environ.SetUp(ctx, s.self(), host, s.launch.Tools, path)
	if err != nil {
		return nil, "", err
	}
	env := s.setTerm(setUp)
	for _, v := range s.job.Env {
		env = environ.Set(env, v.Name, v.Value)
	}
	env = environ.Set(environ.Set(env, "PWD", dir), Mark, s.job.ID)
	return env, dir, s.findPlace(host, setUp, env)
}

// self is the argv that gives this binary the executor's role. The daemon that started this process,
// by which Launch.Self names it, may be gone, and with it that way to the binary.
func (s *supervisor) self() []string {
	return append([]string{fmt.Sprintf("/proc/%d/exe", os.Getpid())}, s.launch.Self[1:]...)
}

// apply brings the workspace to the job's snapshot.
func (s *supervisor) apply(ctx context.Context) error {
	if s.job.Beside != "" {
		return nil // it takes the workspace as the other job has it
	}
	req := workspace.Request{
		Data: s.launch.Data, Name: WorkspaceName(s.job), Displaced: s.launch.Data.Displaced(s.job.ID),
		Concurrent: s.job.Workspace.Mode == manifest.Concurrent, Owner: s.job.Owner, Created: s.job.Created,
	}
	sums, err := s.launch.packSums()
	if err != nil {
		return err
	}
	set, err := packs.OpenSet(s.launch.Data, sums)
	if err != nil {
		return s.damagedInputs(ctx, sums, err)
	}
	defer set.Close()
	req.Content = set
	if d := s.job.Input.Snapshot; d != "" {
		if req.New, err = d.Sum(); err != nil {
			return err
		}
	}
	report, err := workspace.Apply(ctx, req)
	if err != nil {
		return s.damagedInputs(ctx, sums, err)
	}
	s.start, s.applied, s.share = report.Start, time.Now(), report.Share
	s.record.Input.Files, s.record.Input.Bytes = report.Files, report.Bytes
	s.extra("displaced", report.Displaced, len(report.Displaced) > 0)
	s.extra("warning", report.Warning, report.Warning != "")
	return nil
}

// DamagedInputs is the name in a manifest's extra of what says that the inputs on the host are not
// what was sent.
const DamagedInputs = "damagedInputs"

// FailedDisk is the name in a manifest's extra of what the host's disk said that did not keep what the job left.
const FailedDisk = "failedDisk"

// doubt has the daemon hear of a disk that failed a sync of what is kept of the job.
func (s *supervisor) doubt(err error) {
	s.extra(FailedDisk, fmt.Sprint(err), errors.Is(err, unix.EIO))
}

// damagedInputs looks for the reason why a workspace could not be brought to the job's inputs: a
// pack that is damaged is named, and the daemon sees to it that it is asked for again.
func (s *supervisor) damagedInputs(ctx context.Context, sums []manifest.Sum, err error) error {
	for _, sum := range sums {
		if bad := packs.Verify(ctx, s.launch.Data, sum); api.KindOf(bad) == api.Corrupt {
			s.extra(DamagedInputs, sum.String(), true)
			return fmt.Errorf("its inputs on the host are damaged and are sent again when it is run again: %w", bad)
		}
	}
	return err
}

// extra adds to the manifest what has no place of its own.
func (s *supervisor) extra(name string, value any, given bool) {
	if !given {
		return
	}
	if s.record.Extra == nil {
		s.record.Extra = map[string]any{}
	}
	s.record.Extra[name] = value
}

// startDir returns the directory below the workspace that a job starts in. It is made if it is
// not there: an empty or ignored one exists on the client's side only.
func startDir(workspace, dir string) (string, error) {
	if dir == "" {
		return workspace, nil
	}
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return "", fmt.Errorf("unable to enter workspace: %w", err)
	}
	defer root.Close()
	if err := root.MkdirAll(dir, 0o777); err != nil {
		return "", fmt.Errorf("unable to start in %s: %w", dir, err)
	}
	sub, err := root.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("unable to start in %s: %w", dir, err)
	}
	return filepath.Join(workspace, dir), sub.Close()
}
