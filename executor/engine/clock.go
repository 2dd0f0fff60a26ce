//go:build linux

package engine

import (
	"time"

	"golang.org/x/sys/unix"
)

// Clock tells the time in two ways, so that one that was set is noticed.
type Clock struct {
	Now  func() time.Time     // as the host tells it; somebody may set it
	Boot func() time.Duration // since an instant of old; nobody sets it, and it goes on while the host sleeps
}

// SystemClock is the host's own.
func SystemClock() Clock {
	return Clock{Now: time.Now, Boot: func() time.Duration {
		var t unix.Timespec
		if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
			return 0 // the two will differ, and nothing is removed for its age
		}
		return time.Duration(t.Nano())
	}}
}

// watchedClock knows how the two stood when it began.
type watchedClock struct {
	Clock
	now  time.Time
	boot time.Duration
}

func watch(c Clock) watchedClock { return watchedClock{c, c.Now().Round(0), c.Boot()} }

// maxStep is how far a clock may be from what it should show: enough for its being slewed, too
// little for anybody's history.
const maxStep = time.Minute

// since is the time since it began, by the clock that nobody sets.
func (c *watchedClock) since() time.Duration { return c.Boot() - c.boot }

// set is how far the clock was set since it began.
func (c *watchedClock) set() time.Duration { return c.Now().Round(0).Sub(c.now) - c.since() }

// trusted tells whether what the clock shows says how old something is.
func (c *watchedClock) trusted() bool { return c.set().Abs() <= maxStep }
