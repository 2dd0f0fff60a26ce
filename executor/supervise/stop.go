//go:build linux

package supervise

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/manifest"
)

const (
	defaultGrace  = 10 * time.Second
	leftoverGrace = 2 * time.Second        // for processes that a job left behind when it ended
	settleTime    = 250 * time.Millisecond // in which they may end by themselves, like a tee that still writes
)

// stopper remembers why a job is to be stopped. The first reason counts; later ones can only
// make it quicker.
type stopper struct {
	ctx context.Context // done once there is a reason

	mu       sync.Mutex
	cancel   context.CancelCauseFunc
	armed    bool // rearm was called
	again    bool // a request came behind it
	state    manifest.State
	reason   string
	deadline time.Time     // when KILL follows
	sooner   chan struct{} // closed and replaced when the deadline moved
}

func newStopper(ctx context.Context) *stopper {
	s := &stopper{sooner: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	return s
}

// request asks for a stop with grace between TERM and KILL.
func (s *stopper) request(state manifest.State, reason string, grace time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	deadline := time.Now().Add(grace)
	if s.state == "" {
		s.state, s.reason, s.deadline = state, reason, deadline
	} else if deadline.Before(s.deadline) {
		s.deadline = deadline
	}
	close(s.sooner)
	s.sooner = make(chan struct{})
	s.again = s.armed
	s.cancel(fmt.Errorf("%s", reason))
}

// fail asks for a stop of a job that used up what it may. Once its outputs are collected nothing of
// it runs any more that could be stopped, and the outputs come all the same.
func (s *stopper) fail(reason string, grace time.Duration) {
	s.mu.Lock()
	armed := s.armed
	if armed && s.state == "" {
		s.state, s.reason = manifest.Failed, reason
	}
	s.mu.Unlock()
	if !armed {
		s.request(manifest.Failed, reason, grace)
	}
}

// rearm returns a context that only requests from now on end.
func (s *stopper) rearm(ctx context.Context) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = true
	ctx, s.cancel = context.WithCancelCause(ctx)
	return ctx
}

// late tells whether a request came behind rearm.
func (s *stopper) late() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.again
}

func (s *stopper) why() (manifest.State, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, s.reason
}

func (s *stopper) until() (time.Time, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deadline, s.sooner
}

// terminate ends every process of the job: TERM, what until allows, then KILL until none is left.
func (c *children) terminate(id string, until func() (time.Time, <-chan struct{})) error {
	if _, err := signalAll(os.Getpid(), id, unix.SIGTERM); err != nil {
		return err
	}
	// A stopped process takes TERM only when it goes on.
	if _, err := signalAll(os.Getpid(), id, unix.SIGCONT); err != nil {
		return err
	}
	for {
		deadline, sooner := until()
		if c.settled(time.Until(deadline), sooner) {
			return nil
		}
		if at, _ := until(); !time.Now().Before(at) {
			return c.kill(id)
		}
	}
}

// settled waits until no child is left, for so long at most or until sooner closes.
func (c *children) settled(limit time.Duration, sooner <-chan struct{}) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		none, changed := c.state()
		if none {
			return true
		}
		select {
		case <-changed:
		case <-sooner:
			return false
		case <-timer.C:
			return false
		}
	}
}

// kill repeats KILL, because a process may have forked while the others were looked up. What
// forks faster than it is looked up is stopped first.
func (c *children) kill(id string) error {
	for try := range killTries {
		c.group.kill()
		if try > 0 {
			freeze(id)
		}
		if _, err := signalAll(os.Getpid(), id, unix.SIGKILL); err != nil {
			return err
		}
		if c.settled(50*time.Millisecond, nil) {
			return nil
		}
	}
	pids, err := processes(os.Getpid(), id)
	if err != nil || len(pids) == 0 {
		return err
	}
	return fmt.Errorf("unable to end processes %v: they do not die of KILL", pids)
}

// freeze stops the job's processes until a look finds no new one.
func freeze(id string) {
	for seen := 0; ; {
		n, err := signalAll(os.Getpid(), id, unix.SIGSTOP)
		if err != nil || n <= seen {
			return
		}
		seen = n
	}
}

// sweep ends what the job left behind.
func (c *children) sweep(id string) error {
	if c.settled(settleTime, nil) {
		return nil
	}
	deadline := time.Now().Add(leftoverGrace)
	return c.terminate(id, func() (time.Time, <-chan struct{}) { return deadline, nil })
}
