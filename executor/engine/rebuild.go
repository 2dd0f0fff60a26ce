//go:build linux

package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/boot"
	"github.com/cyclops-fpga/cyclops/executor/inputs"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// rebuild indexes the jobs that jobs/ holds and the database does not, when that is new, was
// damaged or is of a daemon that was killed. What ran or waited is followed if its supervisor lives, waits again if none ever began,
// and is lost otherwise: it may have run.
func (e *Engine) rebuild(ctx context.Context) error {
	partial, few, err := e.Store.Partial(ctx)
	if !partial || err != nil {
		return err
	}
	found, left, err := e.findJobs(ctx)
	if err != nil {
		return fmt.Errorf("unable to index jobs: %w", err)
	}
	seq, err := e.Store.LastSeq(ctx)
	if err != nil {
		return fmt.Errorf("unable to index jobs: %w", err)
	}
	numbered := func(yield func(store.Job, []byte) bool) {
		for i, f := range found {
			f.row.Seq = seq + int64(i+1)
			if !yield(f.row, f.raw) {
				return
			}
		}
	}
	if err := failpoint.Do(failpoint.RebuildCommit, func() error {
		return e.Room.Use(func() error { return e.Store.Restore(ctx, numbered) })
	}); err != nil {
		return fmt.Errorf("unable to index jobs: %w", err)
	}
	if err := e.rebuildSnapshots(ctx); err != nil {
		return err
	}
	if !few || left > 0 {
		if err := e.keepPacks(ctx); err != nil {
			return err
		}
	}
	return e.Room.Use(func() error { return e.Store.Whole(ctx) })
}

// findJobs reads the jobs of jobs/ that the database lacks, in the order of their acceptance, and says
// how many it left out.
func (e *Engine) findJobs(ctx context.Context) (found []foundJob, left int, err error) {
	all, err := names(e.Data.Jobs())
	if err != nil {
		return nil, 0, err
	}
	unknown, err := e.Store.Unknown(ctx, all)
	if err != nil {
		return nil, 0, err
	}
	for _, name := range unknown {
		f, err := e.readJob(name)
		if errors.Is(err, errNoJob) {
			continue
		}
		if errors.As(err, new(*leftOut)) {
			e.Log.Warn("a job is left out of the index", "job", name, "error", err)
			left++
			continue
		}
		if err != nil {
			return nil, 0, err // left out now it would be left out for good
		}
		found = append(found, f)
	}
	slices.SortFunc(found, func(a, b foundJob) int { return a.row.Accepted.Compare(b.row.Accepted) })
	return found, left, nil
}

// names returns what is in a directory, in order: of a million jobs nothing but that is kept in memory.
func names(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := f.Readdirnames(-1)
	slices.Sort(all)
	return all, err
}

// bootOf returns the id of the boot in which something was written, empty for an earlier one.
func (e *Engine) bootOf(at time.Time) string {
	if began, err := boot.Time(); err != nil || at.Before(began) {
		return ""
	}
	return e.Boot
}

// rebuildSnapshots finds out which packs the jobs' snapshots draw on. One that is not complete any
// more is only sent again. Any other error ends the start: packs that nothing seems to name are swept.
func (e *Engine) rebuildSnapshots(ctx context.Context) error {
	jobs, err := e.Store.Unresolved(ctx)
	if err != nil {
		return fmt.Errorf("unable to index snapshots: %w", err)
	}
	if len(jobs) == 0 {
		return nil
	}
	var restorer *inputs.Restorer
	if err := e.Room.Use(func() (err error) { restorer, err = e.Inputs.Restorer(ctx); return err }); err != nil {
		return fmt.Errorf("unable to index snapshots: %w", err)
	}
	for _, j := range jobs {
		err := e.Room.Use(func() error { return restorer.Restore(ctx, j.Snapshot) })
		if err != nil && !errors.Is(err, inputs.ErrIncomplete) {
			return fmt.Errorf("unable to index snapshots: %w", err)
		}
		if err != nil {
			e.Log.Warn("the inputs of a job are gone", "job", j.ID, "error", err)
		}
	}
	return nil
}

// keepPacks keeps the packs from the sweep that a job may need which is not in the index, because it
// was left out or because nobody knows what the database had.
func (e *Engine) keepPacks(ctx context.Context) error {
	kept, err := e.Inputs.KeepFiles(ctx)
	if err != nil {
		return fmt.Errorf("unable to keep packs: %w", err)
	}
	if kept > 0 {
		e.Log.Warn("packs that no job of the index needs were moved to damaged/", "packs", kept)
	}
	return nil
}
