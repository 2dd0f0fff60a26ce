//go:build linux

package engine

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/space"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// What a host without a sound disk can be helped with.
const (
	fullHint   = "cyclops rm JOB frees the space of old jobs"
	failedHint = "see what the host's kernel log says of its disk; cyclopsd stop there, and the next call starts the executor again"
)

// disk makes of an error that tells of a full or failed disk one that says what to do. A disk that
// did not keep what it was given is not believed again: the same sync called once more can succeed
// without the bytes.
func (e *Engine) disk(err error) error {
	if space.IsFull(err) {
		return api.Errorf(api.NoSpace, fullHint, "no space left on the host: %w", err)
	}
	f := space.Fail(err)
	if f == nil {
		return err
	}
	if errors.Is(err, unix.EIO) {
		e.distrust(f)
	}
	return e.refusal(f)
}

func (e *Engine) refusal(f *space.Failed) error {
	return api.Errorf(api.Refused, failedHint, "%s takes no jobs: %w", e.Host, f)
}

// distrust has no job taken or started any more, and tells those whose jobs wait.
func (e *Engine) distrust(f *space.Failed) {
	if !e.failed.CompareAndSwap(nil, f) {
		return
	}
	e.Log.Error("no job is taken or started any more", "error", f)
	e.wg.Go(func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.standingsChanged()
	})
}

// sound tells why no job may be accepted, if so.
func (e *Engine) sound() error {
	if f := e.failed.Load(); f != nil {
		return e.refusal(f)
	}
	return nil
}

// trouble says for people why no job is taken or started. e.mu is held.
func (e *Engine) trouble() string {
	switch f := e.failed.Load(); {
	case f != nil:
		return f.Error()
	case e.stuck != nil:
		return e.stuck.Error()
	}
	return ""
}

// putBack lets a job whose start could not be recorded wait again, and with it all others: what
// kept it from starting would keep them.
func (e *Engine) putBack(j *job, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if j.row.About.Beside != "" || e.ctx.Err() != nil {
		e.wg.Go(func() { e.fail(j, err) })
		return
	}
	e.Log.Error("no job is started for now", "job", j.row.ID, "error", err)
	e.queue.Return(j.row.ID)
	j.held, j.row.State, j.row.Started, j.phase = nil, manifest.Queued, time.Time{}, ""
	if j.cancel != nil {
		e.withdraw(j, cancelReason(j.cancel.Reason))
	}
	j.changed()
	if e.stuck == nil {
		e.wg.Go(e.startLater)
	}
	e.stuck = err
	e.standingsChanged()
}

// startLater tries again from time to time; nothing tells when a disk has room again.
func (e *Engine) startLater() {
	timer := time.NewTimer(tryAgain)
	defer timer.Stop()
	select {
	case <-e.ctx.Done():
		return
	case <-timer.C:
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failed.Load() == nil {
		e.stuck = nil
		e.startNext()
	}
}
