//go:build linux

package engine

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// Pin keeps jobs from being removed, or lets them go again. One that it cannot be done for keeps
// none of the others.
func (e *Engine) Pin(ctx context.Context, r api.PinRequest) (api.PinReply, error) {
	reply := api.PinReply{Done: []string{}, Failed: []api.JobError{}}
	if len(r.Jobs) > maxJobs {
		return reply, tooMany(len(r.Jobs))
	}
	ids := r.Jobs[:0:0]
	for _, id := range r.Jobs {
		if err := e.awaitAccepted(ctx, id); err != nil {
			reply.Fail(id, err)
		} else {
			ids = append(ids, id)
		}
	}
	// Until it is on disk, nothing may be removed that a client hopes to keep.
	e.removing.RLock()
	defer e.removing.RUnlock()
	if r.Pinned {
		e.mark(ids, true)
	}
	var all []store.Pinned
	err := failpoint.Do(failpoint.PinCommit, func() (err error) {
		all, err = e.Store.Pin(context.WithoutCancel(ctx), ids, r.Pinned)
		return err
	})
	if err != nil {
		return reply, e.disk(fmt.Errorf("unable to pin jobs: %w", err))
	}
	for i, p := range all {
		e.pinned(ids[i], p.Err, r.Pinned, &reply)
	}
	if !r.Pinned {
		e.mark(ids, false)
	}
	return reply, nil
}

// awaitAccepted returns when the store has the job, if it is to have it.
func (e *Engine) awaitAccepted(ctx context.Context, id string) error {
	if !manifest.ValidID(id) {
		return notWhole(id)
	}
	e.mu.Lock()
	j := e.live[id]
	e.mu.Unlock()
	if j == nil {
		return nil
	}
	select {
	case <-j.accepted:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// pinned tells of one job, and has those who watch it see what it is now.
func (e *Engine) pinned(id string, err error, pinned bool, reply *api.PinReply) {
	if err != nil {
		if errors.Is(err, store.ErrNotFound) {
			err = e.unknown(id)
		}
		reply.Fail(id, err)
		return
	}
	reply.Done = append(reply.Done, id)
	e.mu.Lock()
	defer e.mu.Unlock()
	if j := e.live[id]; j != nil {
		j.row.About.Pinned = pinned
		j.changed()
	}
}

// mark notes pins in the jobs' directories too, from where the index can be built again. The store
// has the durable ones.
func (e *Engine) mark(ids []string, pinned bool) {
	for _, id := range ids {
		err := failpoint.Do(failpoint.PinMark, func() error {
			if pinned {
				return os.WriteFile(e.Data.Pinned(id), nil, 0o600)
			}
			return os.Remove(e.Data.Pinned(id))
		})
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			e.Log.Warn("a pin is in the store alone", "job", id, "error", err)
		}
	}
}
