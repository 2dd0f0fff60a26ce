//go:build linux

package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/boot"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
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
	found, err := e.findJobs(ctx, few)
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
	if err := failpoint.Do(failpoint.RebuildCommit, func() error { return e.Store.Restore(ctx, numbered) }); err != nil {
		return fmt.Errorf("unable to index jobs: %w", err)
	}
	if err := e.rebuildSnapshots(ctx); err != nil {
		return err
	}
	return e.Room.Use(func() error { return e.Store.Whole(ctx) })
}

// findJobs reads the jobs of jobs/ that the database lacks, in the order of their acceptance. If only
// few can be missing, one of an earlier boot of which nothing but its document is there is taken for a
// submit that a power cut ended: nobody was told that it was accepted, and it is not to be called lost.
func (e *Engine) findJobs(ctx context.Context, few bool) ([]foundJob, error) {
	entries, err := os.ReadDir(e.Data.Jobs())
	if err != nil {
		return nil, err
	}
	var found []foundJob
	for _, entry := range entries {
		if known, err := e.Store.Knows(ctx, entry.Name()); known || err != nil {
			if err != nil {
				return nil, err
			}
			continue
		}
		f, err := e.readJob(entry.Name())
		if err != nil {
			e.Log.Warn("a job is left out of the index", "job", entry.Name(), "error", err)
			continue
		}
		if few && f.row.About.Boot == "" && e.Data.Bare(f.row.ID) {
			continue
		}
		found = append(found, f)
	}
	slices.SortFunc(found, func(a, b foundJob) int { return a.row.Accepted.Compare(b.row.Accepted) })
	return found, nil
}

type foundJob struct {
	row store.Job
	raw []byte
}

func (e *Engine) readJob(id string) (foundJob, error) {
	var f foundJob
	if !manifest.ValidID(id) {
		return f, errors.New("its directory has no job's name")
	}
	var err error
	if f.raw, err = os.ReadFile(e.Data.JobSpec(id)); err != nil {
		return f, err
	}
	doc, err := decode(f.raw)
	if err != nil {
		return f, err
	}
	if doc.ID != id {
		return f, fmt.Errorf("it holds job %s", doc.ID)
	}
	f.row = newJob(doc, manifest.SumOf(f.raw)).row
	f.row.State = manifest.Running
	_, err = os.Lstat(e.Data.Pinned(id))
	f.row.About.Pinned = err == nil
	data, err := os.ReadFile(e.Data.Manifest(id))
	if errors.Is(err, os.ErrNotExist) {
		info, err := os.Stat(e.Data.JobSpec(id))
		if err == nil {
			f.row.Accepted, f.row.Started = info.ModTime(), info.ModTime()
			f.row.About.Boot = e.bootOf(info.ModTime())
		}
		return f, err
	}
	if err != nil {
		return f, err
	}
	m, err := manifest.DecodeManifest(data)
	if err != nil {
		return f, err
	}
	f.row.Accepted = m.Accepted
	takeOver(&f.row, m)
	f.row.Record = manifest.SumOf(data)
	return f, nil
}

// bootOf returns the id of the boot in which something was written, empty for an earlier one.
func (e *Engine) bootOf(at time.Time) string {
	if began, err := boot.Time(); err != nil || at.Before(began) {
		return ""
	}
	return e.Boot
}

// rebuildSnapshots finds out which packs the jobs' snapshots draw on. One that is not complete
// any more is only sent again.
func (e *Engine) rebuildSnapshots(ctx context.Context) error {
	packs, err := e.packFiles()
	if err != nil {
		return err
	}
	jobs, err := e.Store.Snapshots(ctx)
	if err != nil {
		return fmt.Errorf("unable to index snapshots: %w", err)
	}
	for _, j := range jobs {
		if _, err := e.Store.Snapshot(ctx, j.Snapshot); err == nil {
			continue // looked at when it came
		}
		if err := e.Inputs.Restore(ctx, j.Snapshot, packs); err != nil {
			e.Log.Warn("the inputs of a job are gone", "job", j.ID, "error", err)
		}
	}
	return nil
}

func (e *Engine) packFiles() ([]store.Pack, error) {
	entries, err := os.ReadDir(e.Data.Packs())
	if err != nil {
		return nil, fmt.Errorf("unable to list packs: %w", err)
	}
	var packs []store.Pack
	for _, entry := range entries {
		digits, ok := strings.CutSuffix(entry.Name(), ".pack")
		sum, err := manifest.Digest("sha256:" + digits).Sum()
		info, ierr := entry.Info()
		if ok && err == nil && ierr == nil {
			packs = append(packs, store.Pack{Sum: sum, Size: info.Size()})
		}
	}
	return packs, nil
}
