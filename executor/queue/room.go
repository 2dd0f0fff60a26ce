package queue

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// enter brings a job whose upstream jobs have succeeded to its workspace's door.
func (q *Queue) enter(e *entry) {
	if e.Mode == manifest.Isolated {
		q.offer(e)
		return
	}
	r := q.rooms[e.Workspace]
	if r == nil {
		r = &room{}
		q.rooms[e.Workspace] = r
	}
	insert(&r.waiting, e)
	q.settle(e.Workspace)
}

// settle offers the first job at a workspace's door, if those inside let it in.
func (q *Queue) settle(workspace string) {
	r := q.rooms[workspace]
	var first *entry
	if len(r.waiting) > 0 && r.admits(r.waiting[0]) {
		first = r.waiting[0]
	}
	if r.offered != first && r.offered != nil {
		q.withdraw(r.offered)
	}
	if r.offered != first && first != nil {
		q.offer(first)
	}
	r.offered = first
	if len(r.waiting) == 0 && r.kept == nil && r.concurrent == 0 {
		delete(q.rooms, workspace)
	}
}

func (r *room) admits(e *entry) bool {
	return r.kept == nil && (r.concurrent == 0 || e.Mode == manifest.Concurrent)
}

func (q *Queue) occupy(e *entry) {
	if e.Mode == manifest.Isolated {
		return
	}
	r := q.rooms[e.Workspace]
	if r == nil {
		r = &room{}
		q.rooms[e.Workspace] = r
	}
	if e.Mode == manifest.Concurrent {
		r.concurrent++
	} else {
		r.kept = e
	}
	q.settle(e.Workspace)
}

func (q *Queue) vacate(e *entry) {
	if e.Mode == manifest.Isolated {
		return
	}
	r := q.rooms[e.Workspace]
	if e.Mode == manifest.Concurrent {
		r.concurrent--
	} else {
		r.kept = nil
	}
	q.settle(e.Workspace)
}

// needsKey is the same for two jobs exactly when their needs are.
func needsKey(needs map[string]int) string {
	var key strings.Builder
	for _, name := range slices.Sorted(maps.Keys(needs)) {
		fmt.Fprintf(&key, "%q=%d ", name, needs[name])
	}
	return key.String()
}

// offer puts a job among those that only slots and resources keep from starting.
func (q *Queue) offer(e *entry) {
	key := needsKey(e.Needs)
	b := q.buckets[key]
	if b == nil {
		b = &bucket{needs: e.Needs}
		q.buckets[key] = b
	}
	insert(&b.waiting, e)
}

func (q *Queue) withdraw(e *entry) {
	key := needsKey(e.Needs)
	b := q.buckets[key]
	if b == nil {
		return
	}
	remove(&b.waiting, e)
	if len(b.waiting) == 0 {
		delete(q.buckets, key)
	}
}
