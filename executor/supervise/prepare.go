//go:build linux

package supervise

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cyclops-fpga/cyclops/executor/environ"
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
	env, err := environ.SetUp(ctx, s.launch.Self, s.launch.vars(), s.launch.Tools, path)
	if err != nil {
		return nil, "", err
	}
	for _, v := range s.job.Env {
		env = environ.Set(env, v.Name, v.Value)
	}
	env = environ.Set(env, "PWD", dir)
	return environ.Set(env, Mark, s.job.ID), dir, nil
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
