//go:build linux

package engine

import (
	"context"
	"errors"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// Watch sees one job until Close. A watcher that is slow sees the newest state when it looks
// again, and never holds up the job or other watchers.
type Watch struct {
	e    *Engine
	j    *job // nil: had ended before
	row  api.JobInfo
	wake chan struct{}

	claim claim
}

// View is how a job stands.
type View struct {
	Info        api.JobInfo
	Version     uint64 // grows with every change of Info but that of LogSize
	LogSize     int64
	Ended       bool // its manifest can be read
	Reachable   bool // Send has somebody to send to
	StdinTaken  int64
	StdinClosed bool
	StdinLost   bool   // another client sends it now
	Granted     uint64 // grows when this watcher's client may send, or send again, from StdinFrom on
	StdinFrom   int64
}

// Watch begins to watch a job.
func (e *Engine) Watch(ctx context.Context, id string) (*Watch, error) {
	j, row, err := e.find(ctx, id)
	if err != nil {
		return nil, err
	}
	w := &Watch{e: e, j: j, wake: make(chan struct{}, 1)}
	if j == nil {
		w.row = e.rowInfo(&row)
		return w, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	j.watchers[w] = struct{}{}
	return w, nil
}

// Changed gets a value after every change.
func (w *Watch) Changed() <-chan struct{} { return w.wake }

// Ended is closed when the job has ended.
func (w *Watch) Ended() <-chan struct{} {
	if w.j == nil {
		over := make(chan struct{})
		close(over)
		return over
	}
	return w.j.ended
}

// View returns how the job stands now.
func (w *Watch) View() View {
	if w.j == nil {
		return View{Info: w.row, Version: 1, LogSize: w.row.LogSize, Ended: true, StdinClosed: true}
	}
	w.e.mu.Lock()
	defer w.e.mu.Unlock()
	j := w.j
	v := View{
		Version: j.version + 1, LogSize: j.logSize, Reachable: j.control != nil, StdinTaken: j.stdinTaken, StdinClosed: j.stdinClosed,
		Ended: w.e.live[j.row.ID] != j, StdinLost: w.claim.lost, Granted: w.claim.granted, StdinFrom: w.claim.from,
	}
	v.Info = w.e.info(j)
	return v
}

// ErrUnreachable says that a job has no supervisor now that would take this.
var ErrUnreachable = errors.New("the job does not run")

// Send passes a frame on to the job's supervisor. Input of a client that may not send any is dropped.
func (w *Watch) Send(t api.FrameType, payload []byte) error {
	if w.j == nil {
		return ErrUnreachable
	}
	w.j.speaking.Lock() // a claim between the look and the sending would make it another's input
	defer w.j.speaking.Unlock()
	w.e.mu.Lock()
	control := w.j.control
	pass, drop := w.takes(t)
	w.e.mu.Unlock()
	if drop {
		return nil
	}
	if control == nil || !pass {
		return ErrUnreachable
	}
	return control.Write(t, payload)
}

// Queued tells whether the job waits.
func (v *View) Queued() bool { return v.Info.State == manifest.Queued }

// Close ends the watching.
func (w *Watch) Close() {
	if w.j == nil {
		return
	}
	w.e.mu.Lock()
	defer w.e.mu.Unlock()
	delete(w.j.watchers, w)
	if w.j.owner == w {
		w.j.owner = nil
	}
}
