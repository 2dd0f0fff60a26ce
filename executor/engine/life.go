//go:build linux

package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/environ"
	"github.com/cyclops-fpga/cyclops/executor/space"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/executor/supervise"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// launchLimit is how long a supervisor may take until its control socket accepts.
const launchLimit = time.Minute

// startNext starts what may start. e.mu is held.
func (e *Engine) startNext() {
	if e.stuck != nil || e.failed.Load() != nil {
		return
	}
	starts := e.queue.Next()
	for _, s := range starts {
		e.begin(e.live[s.ID], s.Held)
	}
	if len(starts) > 0 {
		e.standingsChanged()
	}
}

// begin starts one job. e.mu is held.
func (e *Engine) begin(j *job, held map[string][]string) {
	durable := j.copied
	j.held, j.row.State, j.row.Started, j.phase = held, manifest.Running, time.Now().UTC(), api.PhasePreparing
	j.row.About.Boot = e.Boot
	row := j.row
	j.changed()
	e.wg.Go(func() { e.run(j, row, durable) })
}

// standingsChanged wakes those who watch jobs that wait: their places are not what they were.
func (e *Engine) standingsChanged() {
	e.overviews.moved(e)
	for _, j := range e.live {
		if j.row.State == manifest.Queued && len(j.watchers) > 0 {
			j.changed()
		}
	}
}

// run takes one job from its start to its end. durable: the store has it as queued; otherwise
// it is being accepted as running.
func (e *Engine) run(j *job, row store.Job, durable bool) {
	<-j.accepted
	if j.refused != nil {
		return
	}
	if durable {
		if err := failpoint.Do(failpoint.StartCommit, func() error {
			return e.Store.Start(context.WithoutCancel(e.ctx), row)
		}); err != nil {
			e.putBack(j, fmt.Errorf("unable to record the start: %w", e.disk(err)))
			return
		}
	}
	l, err := e.launch(e.ctx, j)
	if err != nil {
		e.notLaunched(j, err)
		return
	}
	if e.cancelledEarly(j) {
		return
	}
	// A start that was begun is finished: the next daemon finds the supervisor.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.ctx), launchLimit)
	defer cancel()
	process, err := e.Launcher.Launch(ctx, l)
	if err != nil {
		e.notLaunched(j, err)
		return
	}
	e.follow(j, process)
}

// notLaunched ends a job whose supervisor did not begin. One that the disk had no room for waits
// again, as one does whose start could not be recorded.
func (e *Engine) notLaunched(j *job, err error) {
	if !space.IsFull(err) || j.row.About.Beside != "" || e.ctx.Err() != nil {
		e.fail(j, err)
		return
	}
	j.pins.Release()
	e.requeue(j)
	e.putBack(j, e.disk(err))
}

// launch gathers what a supervisor is told.
func (e *Engine) launch(ctx context.Context, j *job) (*supervise.Launch, error) {
	l, doc, err := e.told(ctx, j)
	if err = errors.Join(err, failpoint.At(failpoint.LaunchPrepare)); err != nil {
		return nil, fmt.Errorf("unable to read the job: %w", err)
	}
	if err := e.ensureSpec(j.row.ID, l.Job); err != nil {
		return nil, err
	}
	l.Leased, l.Limits, l.Attempt = j.held, e.limits(), supervise.Attempt(e.Data, j.row.ID)
	vars, err := e.login.vars(ctx)
	if err != nil {
		return nil, err
	}
	l.SetEnviron(vars)
	for _, name := range doc.Tools {
		tool, ok := e.Config.Tools[name]
		if !ok {
			return nil, api.Errorf(api.NotFound, "", "the host no longer has tool %q", name)
		}
		l.Tools = append(l.Tools, environ.Tool{Name: name, Setup: tool.Setup})
	}
	l.Upstream = e.upstream(doc)
	return l, e.pin(ctx, j, l)
}

// told is what every supervisor is told, and the job's document with what it takes over from the
// one that it runs beside.
func (e *Engine) told(ctx context.Context, j *job) (*supervise.Launch, *manifest.Job, error) {
	l := &supervise.Launch{
		Data: e.Data, Self: e.Self, Accepted: j.row.Accepted, Host: e.Host, Store: e.StoreID, Executor: api.BuildVersion(),
	}
	var err error
	if l.Job, err = e.Store.Spec(ctx, j.row.ID); err != nil {
		return nil, nil, err
	}
	if beside := j.row.About.Beside; beside != "" {
		if l.Beside, err = e.Store.Spec(ctx, beside); err != nil {
			return nil, nil, fmt.Errorf("unable to read job %s, beside which it runs: %w", beside, err)
		}
	}
	doc, err := l.Document()
	return l, doc, err
}

// pin names the packs that the job draws on and keeps them until it has ended.
func (e *Engine) pin(ctx context.Context, j *job, l *supervise.Launch) error {
	if j.row.Snapshot.IsZero() {
		return nil
	}
	sums, pins, err := e.Inputs.Snapshot(ctx, j.row.Snapshot)
	if err != nil {
		return err
	}
	for _, sum := range sums {
		l.Packs = append(l.Packs, sum.Digest())
	}
	e.mu.Lock()
	j.pins = pins
	e.mu.Unlock()
	return nil
}

// upstream names the records of the jobs that this one came after. One that was removed has none.
func (e *Engine) upstream(doc *manifest.Job) []manifest.Upstream {
	var all []manifest.Upstream
	for _, id := range doc.After {
		data, err := os.ReadFile(e.Data.Manifest(id))
		if err != nil {
			continue
		}
		all = append(all, manifest.Upstream{Job: id, Location: e.Data.Manifest(id), Digest: manifest.SumOf(data).Digest()})
	}
	return all
}

func (e *Engine) hasManifest(j *job) bool {
	_, err := os.Lstat(e.Data.Manifest(j.row.ID))
	return err == nil
}

// cancelledEarly ends a job that was cancelled between leaving the queue and its supervisor's start.
func (e *Engine) cancelledEarly(j *job) bool {
	e.mu.Lock()
	request := j.cancel
	e.mu.Unlock()
	if request == nil {
		return false
	}
	e.record(j, cancelReason(request.Reason))
	return true
}

func cancelReason(reason string) string {
	if reason == "" {
		return "cancelled before it started"
	}
	return reason
}

// fail ends a job that could not be started. When the daemon leaves, the next one starts it.
func (e *Engine) fail(j *job, err error) {
	if e.ctx.Err() == nil {
		e.Log.Error("unable to start job", "job", j.row.ID, "error", err)
		e.record(j, "Cyclops could not start it: "+err.Error())
		return
	}
	j.pins.Release()
	e.requeue(j)
}

// requeue records that nothing came of a start.
func (e *Engine) requeue(j *job) {
	if err := failpoint.Do(failpoint.RequeueCommit, func() error {
		return e.Room.Use(func() error { return e.Store.Requeue(context.WithoutCancel(e.ctx), j.row.ID) })
	}); err != nil {
		e.Log.Error("unable to put job back into the queue", "job", j.row.ID, "error", e.disk(err))
	}
}

// record writes the manifest of a job that never ran, and ends it.
func (e *Engine) record(j *job, reason string) {
	e.recordWith(j, func(l *supervise.Launch) (*manifest.Manifest, error) {
		return supervise.RecordCancelled(l, reason)
	}, manifest.Cancelled, reason)
}

// recordWith writes a manifest for a job whose supervisor does not, and ends it. A disk that does not
// take it is tried again: whoever asks for an ended job reads its manifest. A daemon that leaves
// first leaves the job as it was. Only of a job whose document is gone the store alone keeps the end.
func (e *Engine) recordWith(j *job, write func(*supervise.Launch) (*manifest.Manifest, error), state manifest.State, reason string) {
	l, _, err := e.told(context.WithoutCancel(e.ctx), j)
	if err != nil {
		e.Log.Error("unable to write manifest", "job", j.row.ID, "error", err)
		e.finish(j, &manifest.Manifest{State: state, Reason: reason + "; " + err.Error(), Ended: time.Now().UTC()})
		return
	}
	timer := time.NewTimer(tryAgain)
	defer timer.Stop()
	for ; ; timer.Reset(tryAgain) {
		var m *manifest.Manifest
		if err = e.Room.Use(func() (err error) { m, err = write(l); return err }); err == nil {
			e.finish(j, m)
			return
		}
		e.Log.Error("unable to write manifest", "job", j.row.ID, "error", err)
		select {
		case <-timer.C:
		case <-e.ctx.Done():
			return
		}
	}
}

// finish takes over what a manifest says, tells everyone, and starts what waited for this job. Until
// the end is recorded it is told to nobody: who then removes the job, or runs it again, must not be
// told that it has not ended.
func (e *Engine) finish(j *job, m *manifest.Manifest) {
	e.mu.Lock()
	row := j.row
	e.mu.Unlock()
	row.TakeOver(m)
	row.Record = e.recordSum(row.ID)
	if err := failpoint.Do(failpoint.EndCommit, func() error {
		return e.Room.Use(func() error { return e.Store.End(context.WithoutCancel(e.ctx), row) })
	}); err != nil {
		e.Log.Error("unable to record the end", "job", row.ID, "error", e.disk(err))
		e.recordLater(row)
	}
	e.keeper.ended(row, e.clock.Boot())
	j.pins.Release()
	if m.Extra[supervise.DamagedInputs] != nil {
		e.inspect(&row)
	}
	if said, ok := m.Extra[supervise.FailedDisk].(string); ok && m.Ended.After(e.started) { // else the executor was started anew since
		e.distrust(space.FailedUnder("job "+row.ID, said))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	j.row.TakeOver(m)
	j.row.Record, j.logSize = row.Record, row.LogSize
	delete(e.live, row.ID)
	close(j.ended)
	j.control = nil
	j.changed()
	orphans := e.queue.Done(row.ID, row.State == manifest.Succeeded)
	e.orphan(orphans, "job "+row.ID+", which it was to come after, "+ending(row.State))
	e.startNext()
	e.standingsChanged()
}

// inspect sets aside what of a job's inputs is damaged, before its owner can run it again.
func (e *Engine) inspect(row *store.Job) {
	bad, err := e.Inputs.Inspect(context.WithoutCancel(e.ctx), row.Snapshot)
	e.Log.Warn("inputs are damaged", "job", row.ID, "packs", bad, "error", err)
}

// recordSum returns the digest of a job's manifest, zero if it has none.
func (e *Engine) recordSum(id string) manifest.Sum {
	data, err := os.ReadFile(e.Data.Manifest(id))
	if err != nil {
		return manifest.Sum{}
	}
	return manifest.SumOf(data)
}

// tryAgain is the time between two attempts to record an end that the store could not take.
const tryAgain = 2 * time.Second

// recordLater answers for an end from memory until the store has taken it; a daemon that leaves
// first reads it from the manifest when it starts again.
func (e *Engine) recordLater(row store.Job) {
	e.unrecorded.Store(row.ID, row)
	e.wg.Go(func() {
		tick := time.NewTicker(tryAgain)
		defer tick.Stop()
		for {
			select {
			case <-e.ctx.Done():
				return
			case <-tick.C:
			}
			if e.recordAgain(row) {
				return
			}
		}
	})
}

// recordAgain tells whether nothing more is to be tried: a row that is gone or damaged never takes its job's end. Of a
// damaged one memory goes on answering, and a repair reads the manifest.
func (e *Engine) recordAgain(row store.Job) bool {
	err := e.Store.End(e.ctx, row)
	gone := errors.Is(err, store.ErrNotFound)
	if err == nil || gone {
		e.unrecorded.Delete(row.ID)
	}
	if gone || store.IsDamaged(err) {
		e.Log.Error("the end of a job stays out of the database", "job", row.ID, "error", err)
		return true
	}
	return err == nil
}

// latest puts the end of a job that the store could not take in the place of what it has.
func (e *Engine) latest(row *store.Job) {
	if late, ok := e.unrecorded.Load(row.ID); ok {
		pinned := row.About.Pinned
		*row = late.(store.Job)
		row.About.Pinned = pinned
	}
}

// orphan cancels waiting jobs whose upstream job did not succeed. e.mu is held.
func (e *Engine) orphan(ids []string, reason string) {
	for _, id := range ids {
		if j := e.live[id]; j != nil {
			e.withdraw(j, reason)
		}
	}
}
