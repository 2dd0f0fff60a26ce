//go:build linux

package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/store"
)

const (
	// settling is how long the keeper waits before it removes anything for its age: a host that starts
	// with a wrong clock has it set by then, and that is noticed.
	settling = 10 * time.Minute
	// lookEvery is how often it looks when no job ends.
	lookEvery = time.Hour
	// measureEvery is how often it measures anew what it otherwise only adds up.
	measureEvery = 24 * time.Hour
	// rest is how long it leaves the disk to jobs between two rounds.
	rest = time.Second
	// delivery is how long a client has to come back for what its job left, whatever that takes.
	delivery = 24 * time.Hour
)

// keeper removes ended jobs as the host's owner configured it.
type keeper struct {
	wake chan struct{}

	mu       sync.Mutex
	fresh    []store.Job   // ended since they were last added up
	kept     int64         // bytes, outside of packs; counts once measured
	measured time.Duration // when, by the clock that nobody sets; 0: never
	warned   bool          // that the clock was set
}

// ended tells of a job that the store has as ended, now by the clock that nobody sets. What will be
// measured anew is not added up: where only an age is configured nobody ever asks for the sum.
func (k *keeper) ended(row store.Job, now time.Duration) {
	if k.wake == nil {
		return // nothing is removed unasked
	}
	k.mu.Lock()
	if k.stale(now) {
		k.fresh = nil
	} else {
		k.fresh = append(k.fresh, row)
	}
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// stale tells that the sum is to be measured anew. k.mu is held.
func (k *keeper) stale(now time.Duration) bool {
	return k.measured == 0 || now-k.measured > measureEvery
}

// forgot tells of bytes that a removal freed.
func (k *keeper) forgot(bytes int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = max(0, k.kept-bytes)
}

// retention is what the host's owner configured.
func (e *Engine) retention() rules {
	return rules{age: e.Config.Retention.Age.Duration, size: int64(e.Config.Retention.Size), spare: delivery}
}

// keep works until the engine is closed. It sleeps until a job ends or an hour has passed.
func (e *Engine) keep() {
	timer := time.NewTimer(settling)
	defer timer.Stop()
	for {
		select {
		case <-e.ctx.Done():
			return
		case <-e.keeper.wake:
		case <-timer.C:
		}
		more, err := e.round(e.ctx)
		if err != nil && e.ctx.Err() == nil {
			e.Log.Warn("ended jobs stay that the retention would remove", "error", err)
		}
		next := lookEvery
		if more {
			next = rest
		}
		timer.Reset(next)
	}
}

// round removes a batch of jobs at most, and tells whether there are more.
func (e *Engine) round(ctx context.Context) (more bool, err error) {
	r := e.trusted(e.retention())
	if e.clock.since() < settling {
		r.age = 0
	}
	if r.none() {
		return false, nil
	}
	kept := int64(0)
	if r.size > 0 {
		if kept, err = e.kept(ctx); err != nil {
			return false, err
		}
	}
	victims, err := e.plan(ctx, r, kept, removeBatch)
	if err != nil || len(victims) == 0 {
		return false, err
	}
	return len(victims) == removeBatch, e.removeVictims(ctx, victims)
}

// trusted leaves out the age while the host's clock cannot be believed.
func (e *Engine) trusted(r rules) rules {
	if r.age == 0 || e.clock.trusted() {
		return r
	}
	e.keeper.mu.Lock()
	defer e.keeper.mu.Unlock()
	if !e.keeper.warned {
		e.Log.Warn("no job is removed for its age: the clock was set", "by", e.clock.set().Round(time.Second))
		e.keeper.warned = true
	}
	r.age = 0
	return r
}

func (e *Engine) removeVictims(ctx context.Context, victims []victim) error {
	reply := e.sacrifice(ctx, victims)
	var errs []error
	for _, f := range reply.Failed {
		errs = append(errs, f.Error)
	}
	return errors.Join(errs...)
}

// sacrifice removes what is still to go: a job may have been pinned, or be needed, since it was chosen.
func (e *Engine) sacrifice(ctx context.Context, victims []victim) (reply api.RemoveReply) {
	why := map[string]string{}
	for batch := range slices.Chunk(victims, removeBatch) {
		ids := make([]string, len(batch))
		for i, v := range batch {
			ids[i], why[v.row.ID] = v.row.ID, v.why
		}
		if ctx.Err() == nil {
			e.removeBatch(ctx, ids, inUse.spares, &reply)
		}
	}
	for _, r := range reply.Removed {
		e.Log.Info("removed a job that is not kept", "job", r.ID, "why", why[r.ID], "freed", r.FreedBytes)
	}
	return reply
}

// kept is how many bytes are kept for ended jobs.
func (e *Engine) kept(ctx context.Context) (int64, error) {
	k := &e.keeper
	k.mu.Lock()
	stale := k.stale(e.clock.Boot())
	fresh := k.fresh
	k.fresh = nil
	k.mu.Unlock()
	if stale {
		if err := e.remeasure(ctx); err != nil {
			return 0, err
		}
	} else {
		for _, row := range fresh {
			k.forgot(-e.own(row))
		}
	}
	packs, err := e.Store.IdlePackBytes(ctx, e.clock.Now())
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kept + packs, err
}

// remeasure lists by the time of the end, so that a job which ends meanwhile is found at its end.
func (e *Engine) remeasure(ctx context.Context) error {
	total, err := e.measure(ctx)
	e.keeper.mu.Lock()
	defer e.keeper.mu.Unlock()
	if err == nil {
		e.keeper.kept, e.keeper.measured, e.keeper.fresh = total, e.clock.Boot(), nil
	}
	return err
}
