//go:build linux

package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/executor/supervise"
	"github.com/cyclops-fpga/cyclops/executor/workspace"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// sweepEvery is how long what nothing names may stay while jobs are removed.
const sweepEvery = time.Hour

// removeBatch is how many jobs go in one commit. No job is accepted meanwhile.
const removeBatch = 100

// maxJobs bounds how many jobs one request may name.
const maxJobs = 10_000

// Remove deletes ended jobs and frees what only they used. One that has to stay keeps none of the others.
func (e *Engine) Remove(ctx context.Context, ids []string) (api.RemoveReply, error) {
	reply := api.RemoveReply{Removed: []api.Removed{}, Failed: []api.JobError{}}
	if len(ids) > maxJobs {
		return reply, tooMany(len(ids))
	}
	for batch := range slices.Chunk(ids, removeBatch) {
		if err := ctx.Err(); err != nil {
			return reply, err
		}
		e.removeBatch(ctx, batch, inUse.keeps, &reply)
	}
	if err := e.sweepSometimes(ctx); err != nil {
		e.Log.Warn("what nothing names stays", "error", err)
	}
	return reply, nil
}

func tooMany(n int) error {
	return api.Errorf(api.Invalid, "", "%d jobs are more than the %d that one request may name", n, maxJobs)
}

// removeBatch removes jobs in one commit, and then their files, but for those that keeps has a reason for.
func (e *Engine) removeBatch(ctx context.Context, ids []string, keeps func(inUse, string) error, reply *api.RemoveReply) {
	for _, g := range e.forget(ctx, ids, keeps, reply) {
		for _, path := range g.paths {
			bytes := usage(path)
			g.freed += bytes
			e.keeper.forgot(bytes)
			g.err = errors.Join(g.err, failpoint.Do(failpoint.RemoveTree, func() error { return supervise.RemoveTree(path) }))
		}
		if g.err != nil {
			reply.Fail(g.id, fmt.Errorf("unable to remove all files of job %s: %w", g.id, g.err))
			continue
		}
		reply.Removed = append(reply.Removed, api.Removed{ID: g.id, FreedBytes: g.freed})
	}
}

// gone is a job that the store has forgotten, and where what is to be deleted of it lies.
type gone struct {
	id    string
	paths []string
	freed int64
	err   error
}

// forget takes jobs out of the store and their files out of sight.
func (e *Engine) forget(ctx context.Context, ids []string, keeps func(inUse, string) error, reply *api.RemoveReply) []*gone {
	e.removing.Lock()
	defer e.removing.Unlock()
	var ended []string
	use := e.inUse()
	for _, id := range ids {
		err := keeps(use, id)
		if !manifest.ValidID(id) {
			err = notWhole(id)
		}
		if err != nil {
			reply.Fail(id, err)
		} else {
			ended = append(ended, id)
		}
	}
	var freed []store.Freed
	var bytes []int64
	err := e.Room.Use(func() (err error) {
		freed, bytes, err = e.Inputs.RemoveJobs(context.WithoutCancel(ctx), ended, time.Now())
		return err
	})
	if err != nil {
		err = e.disk(err)
		for _, id := range ended {
			reply.Fail(id, fmt.Errorf("unable to remove job %s: %w", id, err))
		}
		return nil
	}
	var all []*gone
	for i, f := range freed {
		if f.Err != nil {
			reply.Fail(ended[i], e.stays(ended[i], f.Err))
			continue
		}
		e.mu.Lock()
		e.overviews.gone(ended[i])
		e.mu.Unlock()
		g := &gone{id: ended[i], freed: bytes[i]}
		g.paths, g.err = e.aside(f)
		all = append(all, g)
	}
	return all
}

// stays says to a person why a job was not removed.
func (e *Engine) stays(id string, err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return e.unknown(id)
	case errors.Is(err, store.ErrPinned):
		return api.Errorf(api.Conflict, "cyclops unpin "+id+" lets it go", "job %s is pinned", id)
	}
	return fmt.Errorf("unable to remove job %s: %w", id, err)
}

// aside moves what a removed job leaves out of the way of whoever uses its names again.
func (e *Engine) aside(f store.Freed) (paths []string, err error) {
	id := f.Job.ID
	paths = append(paths, e.setAside(id, e.Data.Job(id)))
	for _, name := range []string{f.Workspace, isolated(f.Job)} {
		if name == "" {
			continue
		}
		path, other := e.workspaceAside(id, name)
		if err = errors.Join(err, other); path != "" {
			paths = append(paths, path)
		}
	}
	return paths, err
}

// workspaceAside frees the name of a workspace and returns where what it held is to be deleted. It is
// empty if that could not be moved and was deleted at once: a new job may work there from now on.
func (e *Engine) workspaceAside(id, name string) (string, error) {
	path := e.setAside(id, e.Data.Workspace(name))
	_, err := workspace.Remove(e.Data, name)
	if path == e.Data.Workspace(name) {
		path = ""
	}
	return path, err
}

// isolated is the name of the workspace that a job has to itself, or "".
func isolated(j store.Job) string {
	if j.About.Mode == manifest.Isolated && j.About.Beside == "" {
		return j.ID
	}
	return ""
}

// setAside moves a directory to where it can be deleted while its name is used again, and
// returns where it is now.
func (e *Engine) setAside(id, path string) string {
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		// A directory that may not be written cannot be moved either.
		_ = os.Chmod(path, 0o700)
	}
	to := filepath.Join(e.Data.Incoming(), ".gone-"+id+"-"+filepath.Base(path))
	if failpoint.Do(failpoint.RemoveAside, func() error { return os.Rename(path, to) }) != nil {
		return path
	}
	return to
}

// usage returns the bytes of the regular files at and below path.
func usage(path string) (total int64) {
	_ = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}

func (e *Engine) sweepSometimes(ctx context.Context) error {
	e.sweep.Lock()
	defer e.sweep.Unlock()
	if time.Since(e.swept) < sweepEvery {
		return nil
	}
	e.swept = time.Now()
	return e.Inputs.Sweep(ctx, e.swept)
}
