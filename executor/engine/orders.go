//go:build linux

package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// find returns a job that has not ended, or how an ended one stands.
func (e *Engine) find(ctx context.Context, id string) (*job, store.Job, error) {
	if !manifest.ValidID(id) {
		return nil, store.Job{}, notWhole(id)
	}
	e.mu.Lock()
	j := e.live[id]
	e.mu.Unlock()
	if j != nil {
		return j, store.Job{}, nil
	}
	row, err := e.Store.Get(ctx, id)
	e.latest(&row)
	if errors.Is(err, store.ErrNotFound) {
		return nil, row, e.unknown(id)
	}
	return nil, row, err
}

func notWhole(id string) error { return api.Errorf(api.Invalid, "", "%q is no whole job id", id) }

func (e *Engine) unknown(id string) error {
	return api.Errorf(api.NotFound, "cyclops ps --all lists the jobs there are", "%s has no job %s", e.Host, id)
}

// Show returns what is known of a job.
func (e *Engine) Show(ctx context.Context, id string) (api.JobInfo, error) {
	j, row, err := e.find(ctx, id)
	if j == nil {
		return e.rowInfo(&row), err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.info(j), nil
}

// List returns a page of jobs, newest first, and whether there are more: older ones, or newer ones behind f.After.
func (e *Engine) List(ctx context.Context, f store.Filter) ([]api.JobInfo, bool, error) {
	limit := f.Limit
	f.Limit++
	rows, err := e.Store.List(ctx, f)
	if err != nil {
		return nil, false, fmt.Errorf("unable to list jobs: %w", err)
	}
	more := len(rows) > limit
	if more && f.After != 0 {
		rows = rows[1:]
	}
	infos := make([]api.JobInfo, 0, len(rows))
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range rows[:min(limit, len(rows))] {
		if j := e.live[rows[i].ID]; j != nil {
			infos = append(infos, e.info(j))
		} else {
			infos = append(infos, e.rowInfo(&rows[i]))
		}
	}
	return infos, more, nil
}

// Cancel takes a job out of the queue and returns when that is durable, or asks its supervisor to stop it. A job that
// has ended stays as it is.
func (e *Engine) Cancel(ctx context.Context, id string, r api.CancelRequest) (api.JobInfo, error) {
	j, row, err := e.find(ctx, id)
	if j == nil {
		return e.rowInfo(&row), err
	}
	withdrawn, err := e.cancel(j, r)
	if err == nil && withdrawn {
		err = awaitRecord(ctx, j)
	}
	if err != nil {
		return api.JobInfo{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if j.refused != nil {
		return api.JobInfo{}, j.refused
	}
	return e.info(j), nil
}

// cancel tells whether the job was waiting, so that it ends without a supervisor.
func (e *Engine) cancel(j *job, r api.CancelRequest) (withdrawn bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch j.row.State {
	case manifest.Queued:
		e.withdraw(j, cancelReason(r.Reason))
		return true, nil
	case manifest.Running:
		return false, e.cancelRunning(j, r)
	}
	return false, nil
}

// cancelRunning tells the supervisor, or has it told as soon as it can be talked to. e.mu is held.
func (e *Engine) cancelRunning(j *job, r api.CancelRequest) error {
	if j.control != nil && j.control.JSON(api.FrameCancel, r) == nil {
		j.cancel = &r
		return nil
	}
	if j.foreign == nil && e.ctx.Err() != nil { // nobody will be there to tell it
		return api.Errorf(api.LostContact, "ask again: the next call starts the executor", "the executor is being stopped, and has not cancelled job %s", j.row.ID)
	}
	j.cancel = &r
	return j.foreign.end()
}

// recordWait is how long a cancel waits for a disk that does not take the record.
const recordWait = 10 * time.Second

// awaitRecord waits until the end of a job that waited is durable: a daemon that was killed before
// that would start it after all, although its owner was told that it is cancelled.
func awaitRecord(ctx context.Context, j *job) error {
	timer := time.NewTimer(recordWait)
	defer timer.Stop()
	select {
	case <-j.ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return api.Errorf(api.NoSpace, "see whether the host's disk is full or failing",
			"job %s will not start, and the host's disk has not taken the record of that yet", j.row.ID)
	}
}

// withdraw ends a job that waits. Its record is written behind the lock, and until that is durable it is queued for
// everyone who asks. e.mu is held.
func (e *Engine) withdraw(j *job, reason string) {
	if j.row.State != manifest.Queued {
		return
	}
	orphans, ok := e.queue.Remove(j.row.ID)
	if !ok {
		return
	}
	e.wg.Go(func() {
		<-j.accepted
		if j.refused == nil {
			e.record(j, reason)
		}
	})
	e.orphan(orphans, "job "+j.row.ID+", which it was to come after, was cancelled")
	e.standingsChanged()
}

// Reprioritise moves a job that waits.
func (e *Engine) Reprioritise(ctx context.Context, id string, p manifest.Priority) (api.JobInfo, error) {
	if p != manifest.Interactive && p != manifest.Normal && p != manifest.Low {
		return api.JobInfo{}, api.Errorf(api.Invalid, "", "there is no priority %q", p)
	}
	j, row, err := e.find(ctx, id)
	if err != nil {
		return api.JobInfo{}, err
	}
	if j == nil {
		return api.JobInfo{}, api.Errorf(api.Conflict, "", "job %s has ended: it %s", id, ending(row.State))
	}
	if err := failpoint.Do(failpoint.PriorityCommit, func() error { return e.Store.SetPriority(ctx, id, p) }); err != nil && !errors.Is(err, store.ErrNotFound) {
		return api.JobInfo{}, e.disk(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.queue.Reprioritise(id, p) {
		return api.JobInfo{}, api.Errorf(api.Conflict, "", "job %s runs already", id)
	}
	j.row.Priority = p
	e.startNext()
	e.standingsChanged()
	return e.info(j), nil
}

// Retry submits a job again under a new id, on the same inputs.
func (e *Engine) Retry(ctx context.Context, id string, r api.RetryRequest) (api.JobInfo, error) {
	if _, _, err := e.find(ctx, id); err != nil {
		return api.JobInfo{}, err
	}
	doc, err := e.document(ctx, id)
	if err != nil {
		return api.JobInfo{}, err
	}
	if doc.Beside != "" {
		return api.JobInfo{}, api.Errorf(api.Conflict, "cyclops shell "+doc.Beside+" opens another", "job %s was a shell beside job %s, which has nothing to do again", id, doc.Beside)
	}
	doc.ID, doc.Created, doc.RetryOf = r.ID, r.Created, id
	doc.Stdin = false // nobody will send it
	doc.After = e.remaining(ctx, doc.After)
	raw, err := json.Marshal(doc)
	if err != nil {
		return api.JobInfo{}, err
	}
	a, missing, err := e.Submit(ctx, Submission{Job: raw})
	if missing != nil {
		return api.JobInfo{}, api.Errorf(api.NotFound, "cyclops run sends them again", "the inputs of job %s are no longer on %s", id, e.Host)
	}
	return a.Job, err
}

// remaining leaves out upstream jobs that were removed.
func (e *Engine) remaining(ctx context.Context, after []string) []string {
	var rest []string
	for _, up := range after {
		if _, err := e.Store.Get(ctx, up); !errors.Is(err, store.ErrNotFound) {
			rest = append(rest, up)
		}
	}
	return rest
}

// Spec returns a job's document without the values of its variables.
func (e *Engine) Spec(ctx context.Context, id string) (*manifest.Job, error) {
	if _, _, err := e.find(ctx, id); err != nil {
		return nil, err
	}
	doc, err := e.document(ctx, id)
	if err != nil {
		return nil, err
	}
	for i := range doc.Env {
		if !doc.Env[i].Public {
			doc.Env[i].Value = ""
		}
	}
	return doc, nil
}
