//go:build linux

package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// rebuild indexes the jobs that jobs/ holds, when the database is new. What ran or waited when
// it was lost is followed if its supervisor lives and lost otherwise: it may have started.
func (e *Engine) rebuild(ctx context.Context) error {
	entries, err := os.ReadDir(e.Data.Jobs())
	if err != nil {
		return fmt.Errorf("unable to index jobs: %w", err)
	}
	var found []foundJob
	for _, entry := range entries {
		f, err := e.readJob(entry.Name())
		if err != nil {
			e.Log.Warn("a job is left out of the index", "job", entry.Name(), "error", err)
			continue
		}
		found = append(found, f)
	}
	slices.SortFunc(found, func(a, b foundJob) int { return a.row.Accepted.Compare(b.row.Accepted) })
	for i, f := range found {
		f.row.Seq = int64(i + 1)
		if err := e.Store.Restore(ctx, f.row, f.raw); err != nil {
			return fmt.Errorf("unable to index jobs: %w", err)
		}
	}
	return e.rebuildSnapshots(ctx, found)
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
	return f, nil
}

// rebuildSnapshots finds out which packs the jobs' snapshots draw on. One that is not complete
// any more is only sent again.
func (e *Engine) rebuildSnapshots(ctx context.Context, found []foundJob) error {
	packs, err := e.packFiles()
	if err != nil {
		return err
	}
	done := map[manifest.Sum]bool{{}: true}
	for _, f := range found {
		if done[f.row.Snapshot] {
			continue
		}
		done[f.row.Snapshot] = true
		if err := e.Inputs.Restore(ctx, f.row.Snapshot, packs); err != nil {
			e.Log.Warn("the inputs of a job are gone", "job", f.row.ID, "error", err)
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
