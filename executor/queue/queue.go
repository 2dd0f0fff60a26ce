// Package queue decides which job starts next: by priority, then in the order of acceptance,
// within the host's slots, its resources and what its workspace allows.
package queue

import (
	"cmp"
	"maps"
	"slices"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// Job is what the queue knows of a job.
type Job struct {
	ID        string
	Seq       int64
	Priority  manifest.Priority
	Workspace string
	Mode      manifest.WorkspaceMode
	Needs     map[string]int
	After     []string // ids of live jobs that must succeed first
}

// Leases grants resources. It is called while the queue decides and must not block.
type Leases interface {
	// Lease takes everything that needs names, or nothing; short names what there is too little of now.
	Lease(needs map[string]int) (held map[string][]string, short []string)
	// Release gives back what Lease granted.
	Release(held map[string][]string)
}

// Start is a job that may start now, and what it holds while it runs.
type Start struct {
	ID   string
	Held map[string][]string
}

// Queue holds the jobs that wait and knows those that run. It is not safe for concurrent use.
type Queue struct {
	slots    int
	leases   Leases
	draining bool

	waiting    map[string]*entry
	running    map[string]*entry
	beside     map[string]bool // jobs that run and take nothing
	held       map[string]map[string][]string
	order      [3][]*entry // every waiting job by rank, in order of seq
	dependants map[string][]*entry
	rooms      map[string]*room
	buckets    map[string]*bucket // jobs that only slots and resources keep from starting, by what they need
}

type entry struct {
	Job
	rank    int
	blocked int // upstream jobs that have not ended
}

func before(a, b *entry) int {
	return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.Seq, b.Seq))
}

// room is a workspace that is shared by name.
type room struct {
	kept       *entry // the one that runs alone
	concurrent int
	waiting    []*entry // in order; upstream jobs have succeeded
	offered    *entry   // the first of waiting, when it is in a bucket
}

type bucket struct {
	needs   map[string]int
	waiting []*entry // in order
}

// New returns an empty queue with a number of slots, at least one.
func New(slots int, leases Leases) *Queue {
	return &Queue{
		slots: max(1, slots), leases: leases,
		waiting: map[string]*entry{}, running: map[string]*entry{}, beside: map[string]bool{}, held: map[string]map[string][]string{},
		dependants: map[string][]*entry{}, rooms: map[string]*room{}, buckets: map[string]*bucket{},
	}
}

// Add puts a job into the queue. Upstream jobs that are not in it count as succeeded.
func (q *Queue) Add(j Job) {
	e := &entry{Job: j, rank: j.Priority.Rank()}
	q.waiting[j.ID] = e
	insert(&q.order[e.rank], e)
	for _, up := range j.After {
		if up != j.ID && q.live(up) {
			e.blocked++
			q.dependants[up] = append(q.dependants[up], e)
		}
	}
	if e.blocked == 0 {
		q.enter(e)
	}
}

// AddRunning tells of a job that runs already, found after a restart, and returns what it holds.
func (q *Queue) AddRunning(j Job) map[string][]string {
	e := &entry{Job: j, rank: j.Priority.Rank()}
	q.running[j.ID] = e
	// What it holds was granted before; there may be less than that now, which only delays others.
	q.held[j.ID], _ = q.leases.Lease(j.Needs)
	q.occupy(e)
	return q.held[j.ID]
}

// Next takes the jobs that may start now out of the queue.
func (q *Queue) Next() []Start {
	var starts []Start
	for !q.draining && len(q.running) < q.slots {
		e, held := q.pick()
		if e == nil {
			break
		}
		q.leave(e)
		q.running[e.ID] = e
		q.held[e.ID] = held
		q.occupy(e)
		starts = append(starts, Start{ID: e.ID, Held: held})
	}
	return starts
}

// pick returns the first job that can have what it needs. A job that cannot keeps later ones
// from what it is short of, else small jobs could starve a large one.
func (q *Queue) pick() (*entry, map[string][]string) {
	heads := slices.SortedFunc(maps.Values(q.buckets), func(a, b *bucket) int { return before(a.waiting[0], b.waiting[0]) })
	reserved := map[string]bool{}
	for _, b := range heads {
		if overlaps(b.needs, reserved) {
			continue
		}
		held, short := q.leases.Lease(b.needs)
		if len(short) == 0 {
			return b.waiting[0], held
		}
		for _, name := range short {
			reserved[name] = true
		}
	}
	return nil, nil
}

func overlaps(needs map[string]int, names map[string]bool) bool {
	for name := range needs {
		if names[name] {
			return true
		}
	}
	return false
}

// Remove takes a waiting job out of the queue, as if it had ended without success. It returns
// the waiting jobs that came after it and can no longer start.
func (q *Queue) Remove(id string) (orphans []string, ok bool) {
	e := q.waiting[id]
	if e == nil {
		return nil, false
	}
	q.leave(e)
	return q.resolve(id, false), true
}

// Done tells that a running job has ended. It returns the waiting jobs that came after it and
// can no longer start; they stay until they are removed.
func (q *Queue) Done(id string, succeeded bool) (orphans []string) {
	if q.beside[id] {
		delete(q.beside, id)
		return q.resolve(id, succeeded)
	}
	if q.free(id) == nil {
		return nil
	}
	return q.resolve(id, succeeded)
}

// free takes what a running job holds from it, and returns it; nil: it does not run.
func (q *Queue) free(id string) *entry {
	e := q.running[id]
	if e == nil {
		return nil
	}
	delete(q.running, id)
	q.leases.Release(q.held[id])
	delete(q.held, id)
	q.vacate(e)
	return e
}

// Return puts a job that could not be started back to where it waited.
func (q *Queue) Return(id string) {
	if e := q.free(id); e != nil {
		q.Add(e.Job)
	}
}

func (q *Queue) resolve(id string, succeeded bool) (orphans []string) {
	for _, e := range q.dependants[id] {
		if q.waiting[e.ID] != e {
			continue
		}
		if !succeeded {
			orphans = append(orphans, e.ID)
			continue
		}
		if e.blocked--; e.blocked == 0 {
			q.enter(e)
		}
	}
	delete(q.dependants, id)
	return orphans
}

// Reprioritise moves a waiting job; within its new priority it stands where its acceptance puts it.
func (q *Queue) Reprioritise(id string, p manifest.Priority) bool {
	e := q.waiting[id]
	if e == nil {
		return false
	}
	ready := e.blocked == 0
	q.leave(e)
	e.Priority, e.rank = p, p.Rank()
	q.waiting[id] = e
	insert(&q.order[e.rank], e)
	if ready {
		q.enter(e)
	}
	return true
}

// Drain stops (or allows again) the starting of jobs.
func (q *Queue) Drain(draining bool) { q.draining = draining }

// Draining tells whether Drain was called with true.
func (q *Queue) Draining() bool { return q.draining }

// Counts returns how many jobs run and wait.
func (q *Queue) Counts() (running, waiting int) {
	return len(q.running) + len(q.beside), len(q.waiting)
}

// Slots returns how many jobs may run at once.
func (q *Queue) Slots() int { return q.slots }

// leave takes a waiting job out of every list.
func (q *Queue) leave(e *entry) {
	delete(q.waiting, e.ID)
	remove(&q.order[e.rank], e)
	if e.blocked > 0 {
		return
	}
	q.withdraw(e)
	if e.Mode == manifest.Isolated {
		return
	}
	r := q.rooms[e.Workspace]
	remove(&r.waiting, e)
	if r.offered == e {
		r.offered = nil
	}
	q.settle(e.Workspace)
}

func insert(list *[]*entry, e *entry) {
	at, _ := slices.BinarySearchFunc(*list, e, before)
	*list = slices.Insert(*list, at, e)
}

func remove(list *[]*entry, e *entry) {
	if at, ok := slices.BinarySearchFunc(*list, e, before); ok {
		*list = slices.Delete(*list, at, at+1)
	}
}
