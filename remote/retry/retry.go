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

// The time between two attempts doubles from first to most: contact resumes within 2 s of the
// line's return.
const (
	first = 100 * time.Millisecond
	most  = 1500 * time.Millisecond
)

// Patience says how long to go on, and tells a person of it. One Patience serves all work of a
// command: the line is lost once, not once for each channel.
type Patience struct {
	Limit time.Duration   // without contact; 0: for ever
	Lost  func(err error) // the line is gone; may be nil
	Back  func()          // it is back; may be nil

	mu    sync.Mutex
	since time.Time // contact was lost; zero: there is contact
}

// Do does work until it succeeds or fails for another reason than a broken line. work must go on
// where the last attempt stopped, and call Alive when it hears of the host again.
func (p *Patience) Do(ctx context.Context, work func(ctx context.Context) error) error {
	wait := first
	for {
		err := work(ctx)
		if err == nil {
			p.Alive()
			return nil
		}
		if ctx.Err() != nil || !Broken(err) {
			return err
		}
		fresh := p.lost(err)
		if fresh {
			wait = first
		}
		if p.spent() {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		wait = min(2*wait, most)
	}
}

// Alive says that the host was heard of.
func (p *Patience) Alive() {
	p.mu.Lock()
	was := !p.since.IsZero()
	p.since = time.Time{}
	p.mu.Unlock()
	if was && p.Back != nil {
		p.Back()
	}
}

// lost notes that contact is gone and tells whether it was there until now.
func (p *Patience) lost(err error) bool {
	p.mu.Lock()
	fresh := p.since.IsZero()
	if fresh {
		p.since = time.Now()
	}
	p.mu.Unlock()
	if fresh && p.Lost != nil {
		p.Lost(err)
	}
	return fresh
}

func (p *Patience) spent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Limit > 0 && !p.since.IsZero() && time.Since(p.since) >= p.Limit
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
