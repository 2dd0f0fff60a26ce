package connect

import (
	"context"
	"sync"
	"time"

	"github.com/cyclops-fpga/cyclops/remote/hosts"
)

// How long a host may be silent while it is connected to. What was connected once answers fast:
// on a network that comes and goes no attempt may stand in the way of the next.
const (
	greetAgain = 4 * time.Second  // up to its key, on a connection that is made again
	loginLimit = 2 * time.Minute  // while it lets us in, sshd's own limit; a token may want a touch
	loginAgain = 30 * time.Second // the same, on a connection that is made again
)

// greetLimit is how long a host may take to show its key. One that always is slow is given time.
func (d *dialer) greetLimit(res *hosts.Resolved) time.Duration {
	limit := timeout(res)
	if d.greeted > 0 {
		limit = min(limit, max(greetAgain, 3*d.greeted))
	}
	return limit
}

// vigil closes a line on which nothing comes for limit while the host lets us in, but not while a
// person is being asked.
type vigil struct {
	line  *wire
	limit time.Duration

	mu     sync.Mutex
	timer  *time.Timer // nil until begin
	asking int
	since  time.Time // the last answer of a person
}

func newVigil(line *wire, limit time.Duration) *vigil { return &vigil{line: line, limit: limit} }

func (d *dialer) vigil(line *wire) *vigil {
	if d.greeted > 0 {
		return newVigil(line, loginAgain)
	}
	return newVigil(line, loginLimit)
}

func (v *vigil) begin() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.since = time.Now()
	v.timer = time.AfterFunc(v.limit, v.check)
}

func (v *vigil) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asking++ // for good
	if v.timer != nil {
		v.timer.Stop()
	}
}

func (v *vigil) check() {
	v.mu.Lock()
	defer v.mu.Unlock()
	silent := min(v.line.quiet(), time.Since(v.since))
	switch {
	case v.asking > 0:
		v.timer.Reset(v.limit)
	case silent >= v.limit:
		v.line.Close()
	default:
		v.timer.Reset(v.limit - silent)
	}
}

// over has p's questions stop the clock.
func (v *vigil) over(p Prompter) Prompter {
	if p == nil {
		return nil
	}
	return &unhurried{p, v}
}

type unhurried struct {
	Prompter
	v *vigil
}

// Prompt puts the question.
func (u *unhurried) Prompt(ctx context.Context, p Prompt) (string, error) {
	u.v.ask(1)
	defer u.v.ask(-1)
	return u.Prompter.Prompt(ctx, p)
}

func (v *vigil) ask(n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asking += n
	v.since = time.Now()
}
