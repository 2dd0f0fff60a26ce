//go:build linux

package serve

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/engine"
)

// maxWaiting bounds what a client may send before its job runs, in bytes: the input that is
// allowed without acknowledgement, and some signals.
const maxWaiting = api.StdinWindow + 16<<10

// relay takes what a client says to its job: acknowledgements of the log, input and signals.
type relay struct {
	f      *follower
	failed chan error

	mu      sync.Mutex
	waiting []api.Frame // for the job to run
	bytes   int

	taken   int64  // of the input, as told
	granted uint64 // as told
	closed  bool
}

func newRelay(f *follower) *relay { return &relay{f: f, failed: make(chan error, 1)} }

// hear obeys frames until the client has left.
func (r *relay) hear() {
	if r.f.want.Input != "" {
		r.f.watch.Ask()
	}
	buf := make([]byte, 16<<10)
	for {
		r.f.alive()
		frame, err := api.ReadFrame(r.f.r, buf)
		if err == nil {
			err = r.obey(frame)
		}
		if err == nil {
			continue
		}
		if _, ours := errors.AsType[*api.Error](err); ours {
			r.failed <- err
		} else {
			r.f.cancel() // the client has hung up, or is gone without a word
		}
		return
	}
}

func (r *relay) obey(frame api.Frame) error {
	switch frame.Type {
	case api.FrameLogAck:
		offset, _, err := frame.Offset()
		if err == nil {
			r.f.credit.acknowledge(offset)
		}
		return err
	case api.FramePing:
		return r.f.w.Write(api.FramePong, frame.Payload)
	case api.FrameCancel:
		var in api.CancelRequest
		if err := frame.JSON(&in); err != nil {
			return err
		}
		_, err := r.f.s.Engine.Cancel(r.f.ctx, r.f.want.Job, in)
		return err
	case api.FrameStdin, api.FrameStdinEnd:
		return r.passFor(r.f.want.Input != "", frame)
	case api.FrameSignal, api.FrameResize:
		return r.passFor(r.f.want.Attach, frame)
	}
	return nil // a newer client may say more
}

func (r *relay) passFor(allowed bool, frame api.Frame) error {
	if !allowed {
		return api.Errorf(api.Refused, "cyclops attach may", "this client follows the job and may not speak to it")
	}
	return r.pass(frame)
}

// pass gives a frame to the job, or keeps it until the job runs.
func (r *relay) pass(frame api.Frame) error {
	if err := checkFrame(frame); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.f.watch.View()
	if frame.Type == api.FrameSignal && v.Queued() {
		return r.interrupt(frame)
	}
	if v.Ended {
		return nil
	}
	if !r.holds(isInput(frame)) {
		err := r.f.watch.Send(frame.Type, frame.Payload)
		if !errors.Is(err, engine.ErrUnreachable) {
			return nil // a supervisor that just went needs no input
		}
	}
	if r.bytes += len(frame.Payload) + 8; r.bytes > maxWaiting {
		return api.Errorf(api.Invalid, "", "more than %d bytes of input came before the job runs", maxWaiting)
	}
	frame.Payload = append([]byte(nil), frame.Payload...)
	r.waiting = append(r.waiting, frame)
	return nil
}

// checkFrame looks at a frame before a supervisor, which serves others too, gets it.
func checkFrame(frame api.Frame) error {
	switch frame.Type {
	case api.FrameSignal:
		var s api.Signal
		if err := frame.JSON(&s); err != nil {
			return err
		}
		if unix.SignalNum("SIG"+s.Name) == 0 {
			return api.Errorf(api.Invalid, "", "there is no signal %q", s.Name)
		}
	case api.FrameStdin, api.FrameStdinEnd:
		_, data, err := frame.Offset()
		if len(data) > api.StdinWindow {
			return api.Errorf(api.Invalid, "", "%d bytes of input are more than may be under way", len(data))
		}
		return err
	case api.FrameResize:
		return frame.JSON(&api.Resize{})
	}
	return nil
}

// interrupt is what a signal does to a job that waits: there is nothing else to get it.
func (r *relay) interrupt(frame api.Frame) error {
	var s api.Signal
	if err := frame.JSON(&s); err != nil {
		return err
	}
	switch s.Name {
	case "INT", "TERM", "HUP", "QUIT", "KILL":
		_, err := r.f.s.Engine.Cancel(r.f.ctx, r.f.want.Job, api.CancelRequest{Reason: fmt.Sprintf("SIG%s came before it started", s.Name)})
		return err
	}
	return nil
}

func isInput(frame api.Frame) bool {
	return frame.Type == api.FrameStdin || frame.Type == api.FrameStdinEnd
}

// holds tells whether input waits, or anything else: neither may pass its own kind, but signals
// pass the input of a client that is still to get the right to send it.
func (r *relay) holds(input bool) bool {
	return slices.ContainsFunc(r.waiting, func(f api.Frame) bool { return isInput(f) == input })
}

// tell flushes what waited, once somebody takes it, and tells the client how far the input is.
func (r *relay) tell(v engine.View) error {
	if v.Reachable {
		r.flush()
	}
	if r.f.want.Input == "" || r.closed {
		return nil
	}
	// A word for each: the first one is no news to a client that has just submitted.
	for ; r.granted < v.Granted && !v.StdinLost; r.granted++ {
		owner := api.StdinOwner{Input: r.f.want.Input, Received: v.StdinFrom}
		if err := r.f.w.JSON(api.FrameStdinOwner, owner); err != nil {
			return err
		}
	}
	if r.granted > 0 && !v.StdinLost && v.StdinTaken > r.taken {
		r.taken = v.StdinTaken
		if err := r.f.w.Offset(api.FrameStdinAck, r.taken, nil); err != nil {
			return err
		}
	}
	if v.StdinLost && !v.Ended && r.granted > 0 {
		// Whose it is now is nobody's business; that it is another's must be said.
		if err := r.f.w.JSON(api.FrameStdinOwner, api.StdinOwner{}); err != nil {
			return err
		}
	}
	if v.StdinClosed || v.StdinLost || v.Ended {
		r.closed = true
		return r.f.w.Write(api.FrameStdinClosed)
	}
	return nil
}

func (r *relay) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	var kept []api.Frame
	stuck := map[bool]bool{}
	for _, f := range r.waiting {
		if !stuck[isInput(f)] {
			stuck[isInput(f)] = errors.Is(r.f.watch.Send(f.Type, f.Payload), engine.ErrUnreachable)
		}
		if stuck[isInput(f)] {
			kept = append(kept, f)
			continue
		}
		r.bytes -= len(f.Payload) + 8
	}
	r.waiting = kept
}
