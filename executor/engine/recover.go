//go:build linux

package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/supervise"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// recover takes up where the last daemon left off.
func (e *Engine) recover(ctx context.Context) error {
	var err error
	if e.Store.Fresh() {
		if err := e.rebuild(ctx); err != nil {
			return err
		}
	}
	if err := errors.Join(e.Inputs.SweepFiles(ctx), e.Inputs.Sweep(ctx, time.Now())); err != nil {
		return err
	}
	e.swept = time.Now()
	if e.seq, err = e.Store.LastSeq(ctx); err != nil {
		return fmt.Errorf("unable to read the queue: %w", err)
	}
	draining, err := e.Store.Setting(ctx, drainSetting)
	if err != nil {
		return fmt.Errorf("unable to read the queue: %w", err)
	}
	e.queue.Drain(draining != "")
	// Listed first: what begins behind this is nobody's leftover.
	leftovers := supervise.Leftovers(e.Data)
	if err := e.takeUp(ctx); err != nil {
		return err
	}
	e.removeLeftovers(leftovers)
	return nil
}

// removeLeftovers removes what supervisors that were killed left behind, of those jobs in ids
// that have ended.
func (e *Engine) removeLeftovers(ids []string) {
	e.mu.Lock()
	ids = slices.DeleteFunc(ids, func(id string) bool { return e.live[id] != nil })
	e.mu.Unlock()
	e.wg.Go(func() {
		if err := failpoint.Do(failpoint.RecoverLeftover, func() error { return supervise.CleanUp(e.Data, ids...) }); err != nil {
			e.Log.Warn("files that jobs left behind stay", "error", err)
		}
	})
}

// takeUp queues what waited and follows what runs.
func (e *Engine) takeUp(ctx context.Context) error {
	rows, err := e.Store.Live(ctx)
	if err = errors.Join(err, failpoint.At(failpoint.RecoverRead)); err != nil {
		return fmt.Errorf("unable to read the queue: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var running []*job
	for _, row := range rows {
		doc, err := e.document(ctx, row.ID)
		if err != nil {
			return err
		}
		j := restored(row, doc)
		e.live[row.ID] = j
		if row.State == manifest.Running {
			e.takeUpRunning(j)
			running = append(running, j)
		}
	}
	var orphans []string
	for _, row := range rows {
		if row.State != manifest.Queued {
			continue
		}
		if row.About.Beside != "" {
			e.startBeside(e.live[row.ID]) // the last daemon left before it could
			continue
		}
		e.queue.Add(e.live[row.ID].queued())
		if e.orphaned(ctx, e.live[row.ID]) {
			orphans = append(orphans, row.ID)
		}
	}
	e.orphan(orphans, "a job that it was to come after did not succeed")
	for _, j := range running {
		e.wg.Go(func() { e.resume(j) })
	}
	e.startNext()
	return nil
}

func (e *Engine) takeUpRunning(j *job) {
	if j.row.About.Beside != "" {
		e.queue.AddBeside(j.row.ID)
		return
	}
	j.held = e.queue.AddRunning(j.queued())
}

func (e *Engine) document(ctx context.Context, id string) (*manifest.Job, error) {
	raw, err := e.Store.Spec(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("unable to read job %s: %w", id, err)
	}
	return manifest.DecodeJob(raw)
}

// orphaned tells whether an upstream job ended without success while no daemon looked.
func (e *Engine) orphaned(ctx context.Context, j *job) bool {
	for _, up := range j.after {
		row, err := e.Store.Get(ctx, up)
		if err == nil && row.State.Ended() && row.State != manifest.Succeeded {
			return true
		}
	}
	return false
}

// resume follows a job that an earlier daemon started.
func (e *Engine) resume(j *job) {
	if !j.row.Snapshot.IsZero() {
		_, pins, err := e.Inputs.Snapshot(e.ctx, j.row.Snapshot)
		if err != nil {
			e.Log.Warn("the inputs of a running job are not kept", "job", j.row.ID, "error", err)
		}
		e.mu.Lock()
		j.pins = pins
		e.mu.Unlock()
	}
	if info, err := os.Stat(e.Data.Log(j.row.ID)); errors.Join(err, failpoint.At(failpoint.RecoverFollow)) == nil {
		e.mu.Lock()
		j.logSize = max(j.logSize, info.Size())
		e.mu.Unlock()
	}
	e.follow(j, nil)
}
