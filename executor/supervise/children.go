//go:build linux

package supervise

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// children starts the job's processes and reaps them, with every orphan among their
// descendants. While it runs nothing else in this process may wait for a child.
type children struct {
	group   *cgroup // touched by the goroutine that starts and kills alone
	mu      sync.Mutex
	waiting map[int]chan unix.WaitStatus
	none    bool          // no child is left, not even an orphan
	changed chan struct{} // closed and replaced when a child was reaped
	cpu     time.Duration
	peak    int64 // bytes; the largest resident set of one process
	stopped chan struct{}
}

// reapAll begins to reap, in a process that is a sub-reaper already, until ctx is done. What is
// started runs in group.
func reapAll(ctx context.Context, group *cgroup) *children {
	c := &children{group: group, waiting: map[int]chan unix.WaitStatus{}, changed: make(chan struct{}), stopped: make(chan struct{})}
	died := make(chan os.Signal, 1)
	signal.Notify(died, unix.SIGCHLD)
	c.reap()
	go c.run(ctx, died)
	return c
}

func (c *children) run(ctx context.Context, died chan os.Signal) {
	defer close(c.stopped)
	defer signal.Stop(died)
	for {
		select {
		case <-died:
			c.reap()
		case <-ctx.Done():
			return
		}
	}
}

// start starts a process; its status comes on the channel.
func (c *children) start(path string, argv []string, attr *syscall.ProcAttr) (int, <-chan unix.WaitStatus, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pid, err := c.group.fork(path, argv, attr)
	if err != nil {
		return 0, nil, err
	}
	done := make(chan unix.WaitStatus, 1)
	c.waiting[pid], c.none = done, false
	return pid, done, nil
}

// reap takes in every child that has ended.
func (c *children) reap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		var status unix.WaitStatus
		var usage unix.Rusage
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, &usage)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			c.none = err == unix.ECHILD
			break
		}
		c.cpu += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		c.peak = max(c.peak, int64(usage.Maxrss)*1024)
		if done, ok := c.waiting[pid]; ok {
			delete(c.waiting, pid)
			done <- status
		}
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// state tells whether nothing is left, and which channel closes when that may have changed.
func (c *children) state() (none bool, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.none, c.changed
}

// usage returns CPU time and peak memory of all that has ended.
func (c *children) usage() (cpu time.Duration, peak int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cpu, c.peak
}
