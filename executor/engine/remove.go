//go:build linux

package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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

// Remove deletes an ended job and frees what only it used.
func (e *Engine) Remove(ctx context.Context, id string) (api.Removed, error) {
	j, row, err := e.find(ctx, id)
	if err != nil {
		return api.Removed{}, err
	}
	if j != nil {
		return api.Removed{}, api.Errorf(api.Conflict, "cyclops cancel "+id+" stops it", "job %s has not ended", id)
	}
	gone, freed, err := e.remove(ctx, row)
	if errors.Is(err, store.ErrNotFound) {
		return api.Removed{}, api.Errorf(api.NotFound, "", "job %s was removed already", id)
	}
	if err != nil {
		return api.Removed{}, fmt.Errorf("unable to remove job %s: %w", id, err)
	}
	for _, path := range gone {
		freed += usage(path)
		err = errors.Join(err, failpoint.Do(failpoint.RemoveTree, func() error { return supervise.RemoveTree(path) }))
	}
	if err != nil {
		return api.Removed{}, fmt.Errorf("unable to remove all files of job %s: %w", id, err)
	}
	return api.Removed{ID: id, FreedBytes: freed}, e.sweepSometimes(ctx)
}

// remove takes a job out of the store and its files out of sight; what it returns is to be deleted.
func (e *Engine) remove(ctx context.Context, row store.Job) (gone []string, freed int64, err error) {
	e.removing.Lock()
	defer e.removing.Unlock()
	if err := e.occupied(row.ID); err != nil {
		return nil, 0, err
	}
	var names store.Freed
	if err := e.Room.Use(func() (err error) {
		names, freed, err = e.Inputs.RemoveJob(ctx, row.ID, time.Now())
		return err
	}); err != nil {
		return nil, 0, e.disk(err)
	}
	gone = append(gone, e.setAside(row.ID, e.Data.Job(row.ID)))
	if row.About.Mode == manifest.Isolated {
		gone = append(gone, e.setAside(row.ID, e.Data.Workspace(row.ID)))
		_, err = workspace.Remove(e.Data, row.ID)
	}
	if names.Workspace != "" {
		gone = append(gone, e.setAside(row.ID, e.Data.Workspace(names.Workspace)))
		_, other := workspace.Remove(e.Data, names.Workspace)
		err = errors.Join(err, other)
	}
	return gone, freed, err
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
