//go:build linux

package engine

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

// inUse says which jobs may not be removed because others that have not ended need them.
type inUse struct {
	live, beside, after map[string]string // by id, the job that needs it
}

func (e *Engine) inUse() inUse {
	u := inUse{map[string]string{}, map[string]string{}, map[string]string{}}
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, j := range e.live {
		u.live[id] = id
		if j.row.About.Beside != "" {
			u.beside[j.row.About.Beside] = id
		}
		for _, up := range j.after {
			u.after[up] = id
		}
	}
	return u
}

// keeps says why a person may not remove a job, or nothing.
func (u inUse) keeps(id string) error {
	if u.live[id] != "" {
		return api.Errorf(api.Conflict, "cyclops cancel "+id+" stops it", "job %s has not ended", id)
	}
	if by := u.beside[id]; by != "" {
		return api.Errorf(api.Conflict, "leave it, or cyclops cancel "+by, "job %s still runs in the workspace of job %s", by, id)
	}
	return nil
}

// spares says why a job is not to be removed unasked, or nothing.
func (u inUse) spares(id string) error {
	if by := u.after[id]; by != "" {
		return api.Errorf(api.Conflict, "", "job %s comes after job %s", by, id)
	}
	return u.keeps(id)
}

// rules say which ended jobs are removed unasked. Zero means none.
type rules struct {
	age   time.Duration
	size  int64
	spare time.Duration // jobs that ended less long ago do not go for the size
}

func (r rules) none() bool { return r.age == 0 && r.size == 0 }

// victim is a job that goes, and why.
type victim struct {
	row   store.Job
	bytes int64
	why   string
}

// plan returns up to limit jobs that are to go by the rules, oldest end first, where kept is what all
// ended jobs take now. Nothing is removed.
func (e *Engine) plan(ctx context.Context, r rules, kept int64, limit int) ([]victim, error) {
	now := e.clock.Now()
	old := func(row store.Job) bool { return r.age > 0 && now.Sub(row.Ended) > r.age }
	due := func(row store.Job) bool {
		return old(row) || r.size > 0 && kept > r.size && e.endedBefore(row, now, r.spare)
	}
	candidates, err := e.candidates(ctx, limit, due)
	if err != nil || len(candidates) == 0 {
		return nil, err
	}
	ids := make([]string, len(candidates))
	for i, row := range candidates {
		ids[i] = row.ID
	}
	var freed []store.Freed
	err = e.Room.Use(func() (err error) { freed, err = e.Store.Try(ctx, ids, now); return err })
	if err != nil {
		return nil, e.disk(err)
	}
	var all []victim
	for i, row := range candidates {
		if ctx.Err() != nil || !due(row) {
			return all, ctx.Err()
		}
		v := victim{row: row, bytes: e.frees(freed[i]), why: "over the size kept, " + human.Size(r.size)}
		if old(row) {
			v.why = fmt.Sprintf("ended %s ago, kept %s", human.Age(now.Sub(row.Ended)), human.Age(r.age))
		}
		kept -= v.bytes
		all = append(all, v)
	}
	return all, nil
}

// endedBefore tells whether a job ended longer ago than spare. A clock that was set ahead must not
// make it look so.
func (e *Engine) endedBefore(row store.Job, now time.Time, spare time.Duration) bool {
	return spare == 0 || now.Sub(row.Ended)-max(0, e.clock.set()) > spare
}

// page is how many rows are looked at together.
const page = 200

// candidates returns ended jobs that may go, oldest end first, for as long as due says so of the oldest.
func (e *Engine) candidates(ctx context.Context, limit int, due func(store.Job) bool) ([]store.Job, error) {
	var found []store.Job
	var last store.Job
	use := e.inUse()
	for len(found) < limit {
		rows, err := e.Store.Ended(ctx, last, page)
		if err != nil {
			return nil, fmt.Errorf("unable to list ended jobs: %w", err)
		}
		for _, row := range rows {
			if !due(row) {
				return found, nil
			}
			if last = row; !row.About.Pinned && use.spares(row.ID) == nil && len(found) < limit {
				found = append(found, row)
			}
		}
		if len(rows) < page {
			return found, nil
		}
	}
	return found, nil
}

// frees is how many bytes a removal would free.
func (e *Engine) frees(f store.Freed) int64 {
	total := e.own(f.Job)
	for _, p := range f.Packs {
		total += p.Size
	}
	if f.Workspace != "" {
		total += usage(e.Data.Workspace(f.Workspace))
	}
	return total
}

// own is how many bytes no other job than this can need.
func (e *Engine) own(row store.Job) int64 {
	total := usage(e.Data.Job(row.ID))
	if name := isolated(row); name != "" {
		total += usage(e.Data.Workspace(name))
	}
	return total
}

// measure returns how many bytes are kept for ended jobs outside of packs: their directories, and the
// workspaces in which none runs or waits to.
func (e *Engine) measure(ctx context.Context) (total int64, err error) {
	entries, err := os.ReadDir(e.Data.Workspaces())
	if err != nil {
		return 0, fmt.Errorf("unable to measure workspaces: %w", err)
	}
	busy := e.busyWorkspaces()
	for _, entry := range entries {
		if !busy[entry.Name()] && !strings.HasPrefix(entry.Name(), ".") && ctx.Err() == nil {
			total += usage(e.Data.Workspace(entry.Name()))
		}
	}
	var last store.Job
	for {
		rows, err := e.Store.Ended(ctx, last, page)
		if err != nil {
			return 0, fmt.Errorf("unable to measure ended jobs: %w", err)
		}
		for _, row := range rows {
			total += usage(e.Data.Job(row.ID))
			last = row
		}
		if len(rows) < page {
			return total, nil
		}
	}
}

// busyWorkspaces are the directories that jobs which have not ended use, or will.
func (e *Engine) busyWorkspaces() map[string]bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	busy := map[string]bool{}
	for id, j := range e.live {
		busy[id], busy[j.row.Workspace], busy[j.row.About.Beside] = true, true, true
	}
	return busy
}
