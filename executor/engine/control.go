//go:build linux

package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/supervise"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// follow listens to a job's supervisor until the job has ended, and finishes it. process is nil
// when an earlier daemon started it.
func (e *Engine) follow(j *job, process Supervisor) {
	for e.ctx.Err() == nil && !e.hasManifest(j) {
		err := e.listen(j)
		if err == nil || e.comes(j) || e.hasManifest(j) {
			continue
		}
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) {
			break // there is no supervisor any more
		}
		// There may be one: its job must not be ended because it cannot be talked to.
		e.Log.Warn("unable to talk to a supervisor", "job", j.row.ID, "error", err)
		e.pause()
	}
	e.detach(j)
	if e.ctx.Err() != nil {
		return
	}
	if !e.hasManifest(j) && process != nil {
		// It is about to go, or gone; what it did not write by then it never will.
		_ = process.Wait(e.ctx)
		if e.ctx.Err() != nil {
			return // one that was stopped may go on yet; the next daemon finds it
		}
	}
	e.conclude(j)
	if process != nil {
		// Whoever waited for the job knows already; this only sees its supervisor off.
		if err := process.Wait(e.ctx); err != nil && e.ctx.Err() == nil {
			e.Log.Warn("supervisor ended badly", "job", j.row.ID, "error", err)
		}
	}
}

// comes waits a moment for a supervisor that is alive but does not listen yet, or no longer, and
// tells whether there is one. No event tells of both: another daemon started it.
func (e *Engine) comes(j *job) bool {
	if _, alive := supervise.Begun(e.Data, j.row.ID); !alive {
		return false
	}
	timer := time.NewTimer(comeTime)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-e.ctx.Done():
	}
	return true
}

// comeTime is how often a supervisor that does not listen is looked for.
const comeTime = 20 * time.Millisecond

// settle makes a record durable whose supervisor may not have got to that, before anybody is told of it. One that did has
// removed its socket since.
func (e *Engine) settle(j *job) {
	if _, err := os.Lstat(e.Data.Control(j.row.ID)); err != nil || !e.hasManifest(j) {
		return
	}
	if err := e.disk(supervise.SyncNames(e.Data, j.row.ID)); err != nil {
		e.Log.Error("a job's record may not be durable", "job", j.row.ID, "error", err)
	}
}

// conclude finishes a job whose supervisor is gone.
func (e *Engine) conclude(j *job) {
	e.settle(j)
	data, err := e.readEnd(j)
	if errors.Is(err, os.ErrNotExist) {
		e.lose(j)
		return
	}
	if err != nil {
		return // the next daemon reads it
	}
	m, err := manifest.DecodeManifest(data)
	if version, ok := errors.AsType[*manifest.VersionError](err); ok && version.Later() {
		e.leave(j, version)
		return
	}
	if err != nil {
		e.Log.Error("unable to read manifest", "job", j.row.ID, "error", err)
		m = &manifest.Manifest{State: manifest.Lost, Reason: "its manifest cannot be read: " + err.Error(), Ended: time.Now().UTC()}
	}
	e.finish(j, m)
}

// readEnd reads the manifest of a job whose supervisor is gone. A disk that does not give it is asked until this daemon
// leaves: the manifest tells how the job ended, and a job that was called lost meanwhile would be lost for good.
func (e *Engine) readEnd(j *job) ([]byte, error) {
	timer := time.NewTimer(tryAgain)
	defer timer.Stop()
	for {
		data, err := os.ReadFile(e.Data.Manifest(j.row.ID))
		err = errors.Join(err, failpoint.At(failpoint.EndRead))
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return data, err
		}
		e.Log.Error("unable to read manifest", "job", j.row.ID, "error", err)
		select {
		case <-timer.C:
			timer.Reset(tryAgain)
		case <-e.ctx.Done():
			return nil, err
		}
	}
}

// lose ends a job of which nobody knows how it ended, after ending what is left of it.
func (e *Engine) lose(j *job) {
	killed, err := supervise.KillMarked(context.WithoutCancel(e.ctx), e.Data, j.row.ID)
	err = errors.Join(err, failpoint.At(failpoint.LoseKill))
	reason, restarted := "its supervisor ended without recording how the job ended", j.row.About.Boot != e.Boot
	if restarted {
		reason = "the host was restarted while it ran"
	}
	if killed > 0 {
		reason += fmt.Sprintf("; %d processes that were left of it were killed", killed)
	}
	if err != nil {
		reason += "; " + err.Error()
	}
	started := timeOrNil(j.row.Started)
	e.recordWith(j, func(l *supervise.Launch) (*manifest.Manifest, error) {
		return supervise.RecordLost(l, started, reason, restarted)
	}, manifest.Lost, reason)
}

// listen takes what one connection to the supervisor says, until it ends. An error means that
// none was to be had.
func (e *Engine) listen(j *job) error {
	if err := failpoint.At(failpoint.FollowDial); err != nil {
		return err
	}
	conn, err := supervise.Dial(e.ctx, e.Data, j.row.ID)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(e.ctx, func() { conn.Close() })
	defer stop()
	r := bufio.NewReader(conn)
	err = e.greet(j, conn, r)
	if foreign, ok := errors.AsType[*foreignError](err); ok {
		e.standBy(j, conn, foreign)
		return nil
	}
	if err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for {
		f, err := api.ReadFrame(r, buf)
		if err != nil {
			return nil // the job has ended, or this daemon does
		}
		if err := e.heard(j, f); err != nil {
			e.Log.Warn("supervisor said what is not understood", "job", j.row.ID, "error", err)
		}
	}
}

// greet reads who answers and attaches the connection to the job.
func (e *Engine) greet(j *job, conn net.Conn, r *bufio.Reader) error {
	if err := failpoint.At(failpoint.FollowGreet); err != nil {
		return err
	}
	f, err := api.ReadFrame(r, nil)
	if err != nil {
		return err
	}
	var hello api.ControlHello
	if f.Type != api.FrameControl || f.JSON(&hello) != nil || hello.Control != api.ControlVersion {
		return &foreignError{hello.Control}
	}
	if hello.Job != j.row.ID {
		return fmt.Errorf("unable to talk to the supervisor of job %s: another answers", j.row.ID)
	}
	return e.attach(j, api.NewFrameWriter(conn), hello.Stdin)
}

func (e *Engine) detach(j *job) {
	e.mu.Lock()
	defer e.mu.Unlock()
	j.control, j.foreign = nil, nil
}

// pause lets some time pass before a supervisor is asked again.
func (e *Engine) pause() {
	select {
	case <-time.After(askAgain):
	case <-e.ctx.Done():
	}
}

// askAgain is the time between two attempts to talk to a supervisor.
const askAgain = time.Second

// heard takes over one frame of a supervisor.
func (e *Engine) heard(j *job, f api.Frame) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch f.Type {
	case api.FrameState:
		var info api.JobInfo
		if err := f.JSON(&info); err != nil {
			return err
		}
		j.phase, j.step, j.row.About.Warnings = info.Phase, info.Step, info.Warnings
		if len(info.Steps) > 0 {
			j.row.About.Steps = info.Steps
		}
		j.changed()
	case api.FrameGrew, api.FrameStdinAck:
		n, _, err := f.Offset()
		if err != nil {
			return err
		}
		if f.Type == api.FrameGrew {
			j.logSize = n
		} else {
			j.stdinTaken = n
		}
		j.wake()
	case api.FrameStdinOwner:
		var o api.StdinOwner
		if err := f.JSON(&o); err != nil {
			return err
		}
		j.granted(o)
	case api.FrameStdinClosed:
		j.stdinClosed = true
		j.wake()
	case api.FrameError:
		e.Log.Warn("supervisor refused what it was told", "job", j.row.ID, "error", string(f.Payload))
	}
	return nil
}
