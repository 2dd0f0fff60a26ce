package carry

import (
	"context"
	"sync"
)

// slowly is how many acknowledgements after a break it takes for one write more at once.
const slowly = 8

// window bounds the writes under way. What is under way when a line breaks is sent again, so after
// a break it begins with one and grows with what is acknowledged: on a line that keeps breaking a
// fixed one would send more in vain than for good.
type window struct {
	mu    sync.Mutex
	room  sync.Cond
	limit int // while the line never broke
	now   int
	acked int // since it grew
	busy  int
}

func newWindow(limit int) *window {
	w := &window{limit: limit, now: limit}
	w.room.L = &w.mu
	return w
}

// enter waits until there is room for one more.
func (w *window) enter(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.room.Broadcast()
	})
	defer stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.busy >= w.now && ctx.Err() == nil {
		w.room.Wait()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w.busy++
	return nil
}

// leave notes how one ended.
func (w *window) leave(acknowledged bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy--
	if !acknowledged {
		w.now, w.acked = 1, 0
	} else if w.acked++; w.acked >= slowly && w.now < w.limit {
		w.now, w.acked = w.now+1, 0
		w.room.Signal()
	}
	w.room.Signal()
}
