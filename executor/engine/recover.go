//go:build linux

package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/executor/supervise"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// recover takes up where the last daemon left off.
func (e *Engine) recover(ctx context.Context) error {
	var err error
	if err := e.rebuild(ctx); err != nil {
		return err
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
	var running, waiting []*job
	for _, row := range rows {
		j := e.restore(ctx, row)
		e.live[row.ID] = j
		e.see(j)
		if j.row.State == manifest.Running || e.hasManifest(j) || e.begun(j) {
			e.takeUpRunning(j)
			running = append(running, j)
		} else {
			waiting = append(waiting, j)
		}
	}
	e.takeUpWaiting(ctx, waiting)
	for _, j := range running {
		e.wg.Go(func() { e.resume(j) })
	}
	e.startNext()
	return nil
}

// restore takes up one job that has not ended. A start that the last daemon recorded and did not
// get to is taken back: until a supervisor begins, nothing of the job has run.
func (e *Engine) restore(ctx context.Context, row store.Job) *job {
	doc, err := e.document(ctx, row.ID)
	if err != nil {
		e.Log.Error("a job cannot be read", "job", row.ID, "error", err)
		doc = &manifest.Job{}
	}
	j := restored(row, doc)
	if j.unreadable = err; err == nil {
		e.finishAcceptance(ctx, row.ID)
	}
	if row.State != manifest.Running || row.About.Boot != e.Boot || e.hasManifest(j) {
		return j
	}
	given, err := supervise.GiveUp(e.Data, row.ID)
	if err != nil {
		e.Log.Warn("a start is not taken back", "job", row.ID, "error", err)
	}
	if given {
		j.row.State, j.row.Started = manifest.Queued, time.Time{}
		e.requeue(j)
	}
	return j
}

// finishAcceptance names the document of a job whose daemon was killed between its acceptance and that.
func (e *Engine) finishAcceptance(ctx context.Context, id string) {
	if _, err := os.Lstat(e.Data.JobSpecPart(id)); err != nil {
		return
	}
	raw, err := e.Store.Spec(ctx, id)
	if err == nil {
		err = e.Room.Use(func() error { return e.ensureSpec(id, raw) })
	}
	if err != nil {
		e.Log.Error("the document of an accepted job has not got its name", "job", id, "error", e.disk(err))
	}
}

// begun tells of a job that waits, as far as the store knows, whether a supervisor has it all the same:
// a damaged disk can lose a start, but the job's directory has the claim.
func (e *Engine) begun(j *job) bool {
	begun, _ := supervise.Begun(e.Data, j.row.ID)
	return begun
}

// takeUpWaiting queues jobs, all before any is withdrawn: one that comes after another knows it
// by the queue. e.mu is held.
func (e *Engine) takeUpWaiting(ctx context.Context, waiting []*job) {
	reasons := map[*job]string{}
	for _, j := range waiting {
		if j.row.About.Beside != "" && j.unreadable == nil {
			e.startBeside(j) // the last daemon left before it could
			continue
		}
		e.queue.Add(j.queued())
		if j.unreadable != nil {
			reasons[j] = "it was not started: " + j.unreadable.Error()
		} else if e.orphaned(ctx, j) {
			reasons[j] = "a job that it was to come after did not succeed"
		}
	}
	for _, j := range waiting {
		if reason := reasons[j]; reason != "" {
			e.withdraw(j, reason)
		}
	}
}

// takeUpRunning takes up a job that has started or has ended, one that waited too: its manifest is durable before the
// store says so. What has ended holds nothing.
func (e *Engine) takeUpRunning(j *job) {
	j.row.State = manifest.Running
	if j.row.About.Beside != "" || e.hasManifest(j) {
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
	info, err := os.Stat(e.Data.Log(j.row.ID))
	if err = errors.Join(err, failpoint.At(failpoint.RecoverFollow)); err == nil && j.row.About.Boot == e.Boot {
		// Where the machine was restarted the log is about to be cut to what reached the disk.
		e.mu.Lock()
		j.logSize = max(j.logSize, info.Size())
		e.mu.Unlock()
	}
	e.follow(j, nil)
}
