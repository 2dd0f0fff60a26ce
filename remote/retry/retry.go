// Package retry goes on with work whose line to the host broke, until the line is back or the
// user's patience is used up.
package retry

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// The time between the beginnings of two attempts doubles from first to most: contact resumes
// within 2 s of the line's return, and at once after a line that only broke.
const (
	first = 20 * time.Millisecond
	most  = 1500 * time.Millisecond
)

// What a host says while it comes back, and what it may go on saying only for so long, from the
// first time in a row: it may have been away for much longer before.
const (
	absent  = 30 * time.Second // without an executor: an install replaces it
	refused = time.Minute      // not let in: it boots, or an agent comes back later than the network
	askIn   = refused / 2      // between two attempts to be let in: who asks often is shut out
)

// Patience says how long to go on, and tells a person of it. One Patience serves all work of a
// command: the line is lost once, not once for each channel. A nil Patience has none.
//
// Until the host was heard of, with Alive or by a line that broke, a host that cannot be reached
// is one that was never there: that is an error at once.
type Patience struct {
	Limit time.Duration   // without contact; 0: for ever
	Lost  func(err error) // the line is gone; may be nil, and must not call back
	Back  func()          // it is back; may be nil, and must not call back

	telling sync.Mutex // one at a time and in order: held around Lost and Back
	mu      sync.Mutex
	met     bool      // the host was heard of
	since   time.Time // contact was lost; zero: there is contact
	last    error     // why there is no contact
	says    api.Kind  // what the host says while it comes back, in a row
	sayings time.Time // since when
}

// Do does work until it succeeds or fails for another reason than a broken line. work must go on
// where the last attempt stopped, and call Alive once in each attempt, when it hears of the host.
// Its context ends with the attempt.
func (p *Patience) Do(ctx context.Context, work func(ctx context.Context) error) error {
	if p == nil {
		return work(ctx)
	}
	for wait := first; ; wait = min(2*wait, most) {
		began := time.Now()
		err := p.attempt(ctx, work)
		if err == nil {
			p.Alive()
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx) // the work may have failed with no more than that it was cancelled
		}
		fresh, again := p.lost(err)
		if !again {
			return err
		}
		switch {
		case api.KindOf(err) == api.Auth:
			wait = askIn
		case fresh:
			wait = first
		}
		if err := p.pause(ctx, wait-time.Since(began)); err != nil {
			return err
		}
	}
}

// attempt gives an attempt that begins without contact the time that is left.
func (p *Patience) attempt(ctx context.Context, work func(ctx context.Context) error) error {
	left, limited := p.left()
	if !limited {
		return work(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(left, func() {
		if left, lost := p.left(); lost && left <= 0 {
			cancel(errSpent)
		}
	})
	defer timer.Stop()
	err := work(ctx)
	if err != nil && context.Cause(ctx) == errSpent {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.last == nil { // another user of it heard of the host meanwhile, and the work is not done
			return api.Errorf(api.LostContact, "", "the line broke")
		}
		return p.last
	}
	return err
}

var errSpent = errors.New("patience is used up")

// pause waits before the next attempt.
func (p *Patience) pause(ctx context.Context, wait time.Duration) error {
	if left, limited := p.left(); limited {
		wait = min(wait, left)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// left returns how long there may be no contact yet; limited is false while there is contact,
// and when it may be for ever.
func (p *Patience) left() (left time.Duration, limited bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Limit <= 0 || p.since.IsZero() {
		return 0, false
	}
	return p.Limit - time.Since(p.since), true
}

// Alive says that the host was heard of.
func (p *Patience) Alive() {
	if p == nil {
		return
	}
	p.telling.Lock()
	defer p.telling.Unlock()
	p.mu.Lock()
	was := !p.since.IsZero()
	p.met, p.since, p.last, p.sayings = true, time.Time{}, nil, time.Time{}
	p.mu.Unlock()
	if was && p.Back != nil {
		p.Back()
	}
}

// lost notes a failure. fresh means that there was contact until now, again that it is worth
// another attempt.
func (p *Patience) lost(err error) (fresh, again bool) {
	p.telling.Lock()
	defer p.telling.Unlock()
	p.mu.Lock()
	if !p.passing(err) {
		p.mu.Unlock()
		return false, false
	}
	fresh = p.since.IsZero()
	if fresh {
		p.since = time.Now()
	}
	p.met, p.last = true, err
	spent := p.Limit > 0 && time.Since(p.since) >= p.Limit
	p.mu.Unlock()
	if fresh && p.Lost != nil {
		p.Lost(err)
	}
	return fresh, !spent
}

// passing tells whether what failed may succeed by itself. p.mu is held.
func (p *Patience) passing(err error) bool {
	kind := api.KindOf(err)
	switch {
	case errors.Is(err, context.Canceled):
		return false
	case kind != api.LostContact && !p.met:
		return false
	}
	if kind != p.says || p.sayings.IsZero() {
		p.says, p.sayings = kind, time.Now()
	}
	switch kind {
	case api.LostContact, api.Unreachable:
		return true
	case api.NoExecutor:
		return time.Since(p.sayings) < absent
	case api.Auth:
		// The last attempt may be a moment quicker than the first was.
		return time.Since(p.sayings) < refused-askIn/2
	}
	return false
}

// Broken tells whether err means that the line broke, so that the same work may succeed later.
func Broken(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	switch api.KindOf(err) {
	case api.LostContact, api.Unreachable:
		return true
	}
	return false
}
