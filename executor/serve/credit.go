//go:build linux

package serve

import (
	"sync"
	"time"
)

// A log flows against credit, sized so that what was sent is acknowledged within the round trip
// and maxDelay: signals and pings then never wait longer behind it.
const (
	minWindow   = 64 << 10
	firstWindow = 256 << 10
	maxWindow   = 8 << 20
	maxDelay    = 100 * time.Millisecond
)

// credit says how much of a log may be under way to a client.
type credit struct {
	granted chan struct{}

	mu     sync.Mutex
	window int64
	acked  int64
	heard  int64     // what the client says that it has consumed; may be ahead of what is noted as sent
	sent   []sending // not acknowledged yet, in order
	fast   time.Duration
}

type sending struct {
	end int64
	at  time.Time
}

func newCredit() *credit {
	return &credit{granted: make(chan struct{}, 1), window: firstWindow, fast: -1}
}

// begin says where the client begins to read.
func (c *credit) begin(offset int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acked = max(c.acked, offset)
}

// room returns how many bytes may follow offset now. Pieces are a fraction of the window, so
// that acknowledgements keep coming.
func (c *credit) room(offset int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	left := c.window - (offset - c.acked)
	if len(c.sent) == 0 {
		left = c.window // what lies before offset was left out, not sent
	}
	return min(max(left, 0), c.window/4)
}

// spent notes that the log was sent up to end. The client may have answered already: no other answer
// would come, and a window that got smaller than what is held against it would never open again.
func (c *credit) spent(end int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if end <= c.heard {
		c.acked = max(c.acked, end)
		return
	}
	c.sent = append(c.sent, sending{end: end, at: time.Now()})
}

// acknowledge notes that the client has consumed the log up to offset, and fits the window.
func (c *credit) acknowledge(offset int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = max(c.heard, offset)
	now := time.Now()
	busy := int64(0)
	if n := len(c.sent); n > 0 {
		busy = c.sent[n-1].end - c.acked
	}
	for len(c.sent) > 0 && c.sent[0].end <= offset {
		c.fit(now.Sub(c.sent[0].at), busy)
		c.acked = c.sent[0].end
		c.sent = c.sent[1:]
	}
	select {
	case c.granted <- struct{}{}:
	default:
	}
}

// fit changes the window by what one piece's acknowledgement took while busy bytes were under way.
func (c *credit) fit(took time.Duration, busy int64) {
	if c.fast < 0 || took < c.fast {
		c.fast = took
	}
	switch {
	case took > c.fast+maxDelay:
		c.window = max(minWindow, c.window/2)
	case busy >= c.window/2:
		c.window = min(maxWindow, c.window*2)
	}
}
