//go:build linux

package supervise

import (
	"sync"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// board holds what the control socket tells. A connection that is slow finds the newest state
// when it looks again, and never holds up the job.
type board struct {
	mu       sync.Mutex
	now      notice
	watchers map[chan struct{}]bool
}

// notice is one state of affairs; each number grows when its part changes.
type notice struct {
	info    api.JobInfo
	version int // of info
	logSize int64
	stdin   int64
	closed  bool // the job takes no more input
}

func newBoard(info api.JobInfo) *board {
	return &board{now: notice{info: info, version: 1}, watchers: map[chan struct{}]bool{}}
}

// change alters the board and wakes whoever watches it.
func (b *board) change(fn func(*notice)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fn(&b.now)
	for w := range b.watchers {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

// update alters the job's state. fn must not change slices in place: readers hold them.
func (b *board) update(fn func(*api.JobInfo)) {
	b.change(func(n *notice) { fn(&n.info); n.version++ })
}

func (b *board) grew(size int64) { b.change(func(n *notice) { n.logSize = size }) }

// input notes how far the job has taken its input. The writer and who ends it may come in any order.
func (b *board) input(taken int64, closed bool) {
	b.change(func(n *notice) { n.stdin, n.closed = max(n.stdin, taken), n.closed || closed })
}

func (b *board) read() notice {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.now
	n.info.LogSize = n.logSize
	return n
}

// watch returns a channel that gets a value after every change until the returned function is called.
func (b *board) watch() (<-chan struct{}, func()) {
	w := make(chan struct{}, 1)
	w <- struct{}{}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watchers[w] = true
	return w, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.watchers, w)
	}
}
