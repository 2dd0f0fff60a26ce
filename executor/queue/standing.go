package queue

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// Standing says where a waiting job stands and, for people, what it waits for.
func (q *Queue) Standing(id string) (position int, waitsFor string) {
	e := q.waiting[id]
	if e == nil {
		return 0, ""
	}
	for rank := range e.rank {
		position += len(q.order[rank])
	}
	at, _ := slices.BinarySearchFunc(q.order[e.rank], e, before)
	return position + at + 1, q.waitsFor(e)
}

func (q *Queue) waitsFor(e *entry) string {
	if e.blocked > 0 {
		return q.waitsForUpstream(e)
	}
	if r := q.rooms[e.Workspace]; e.Mode != manifest.Isolated && r != nil && r.offered != e {
		return r.waitsFor(e)
	}
	if q.draining {
		return "the host is draining"
	}
	if len(q.running) >= q.slots {
		return fmt.Sprintf("a slot (%d of %d in use)", len(q.running), q.slots)
	}
	held, short := q.leases.Lease(e.Needs)
	if len(short) > 0 {
		return strings.Join(short, ", ")
	}
	q.leases.Release(held)
	return "jobs ahead of it"
}

func (q *Queue) waitsForUpstream(e *entry) string {
	for _, up := range e.After {
		if q.live(up) {
			return "job " + up
		}
	}
	return "an earlier job"
}

func (r *room) waitsFor(e *entry) string {
	if r.kept != nil {
		return fmt.Sprintf("job %s in workspace %s", r.kept.ID, e.Workspace)
	}
	if r.concurrent > 0 && e.Mode != manifest.Concurrent {
		return fmt.Sprintf("%d concurrent jobs in workspace %s", r.concurrent, e.Workspace)
	}
	return fmt.Sprintf("job %s in workspace %s", r.waiting[0].ID, e.Workspace)
}
