package tui

import (
	"cmp"
	"slices"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// row is a job as it was last heard of.
type row struct {
	host string
	api.JobInfo
}

func (r *row) ref() Ref { return Ref{r.host, r.ID} }

const (
	// pageSize is how many jobs one request brings.
	pageSize = 200
	// keptRows bounds the jobs of the past that are in memory, of however many there are.
	keptRows = 4000
)

// source is one host's part of the history.
type source struct {
	host         string
	top, bottom  int64     // numbers of the newest and the oldest job that is here
	topAt        time.Time // when they were accepted
	bottomAt     time.Time
	newer, older bool // there are more beyond
	asked        bool // a page is on its way
	failed       bool // until the host is heard of again
}

// history is a stretch of the jobs that have ended, of all hosts, newest first: a window that
// pages move over what the hosts' indexes have.
type history struct {
	generation int // of the query: pages of an earlier one are dropped
	rows       []*row
	sources    map[string]*source
}

// direction says beyond which end of the window a page lies.
type direction int

const (
	fromNewest direction = iota // the window begins anew at the newest
	fromOldest
	toOlder
	toNewer
	afresh // the newest, again: they go among what is here
)

// reset empties the window for hosts; what is asked for next begins at one end.
func (h *history) reset(hosts []string, end direction) {
	h.generation++
	h.rows = nil
	h.sources = map[string]*source{}
	for _, name := range hosts {
		h.sources[name] = &source{host: name, older: end == fromNewest, newer: end == fromOldest}
	}
}

// want says what to ask a host for to go on in a direction.
func (s *source) want(d direction, ask Ask) (Ask, bool) {
	ask.Limit = pageSize
	switch {
	case s.asked || s.failed || d == toOlder && !s.older || d == toNewer && !s.newer:
		return ask, false
	case d == toOlder:
		ask.Before = s.bottom
	case d == toNewer:
		after := s.top
		ask.After = &after
	}
	s.asked = true
	return ask, true
}

// take adds a page of one host; live jobs of it are kept elsewhere.
func (h *history) take(host string, d direction, page api.JobPage, q *Query) {
	s := h.sources[host]
	if s == nil {
		return
	}
	s.asked = false
	if n := len(page.Jobs); n > 0 {
		newest, oldest := &page.Jobs[0], &page.Jobs[n-1]
		if s.bottom == 0 || oldest.Seq < s.bottom {
			s.bottom, s.bottomAt = oldest.Seq, oldest.Accepted
		}
		if newest.Seq > s.top {
			s.top, s.topAt = newest.Seq, newest.Accepted
		}
	}
	if d == toNewer {
		s.newer = page.Newer
	} else {
		s.older = page.Cursor != ""
	}
	for _, j := range page.Jobs {
		if j.State.Ended() && q.Holds(host, &j) {
			h.put(&row{host, j})
		}
	}
	h.trim(d)
}

// gap tells whether there are jobs between the newest of a host, once more, and the window: more
// ended while there was no contact than a page has.
func (h *history) gap(host string, page api.JobPage) bool {
	s := h.sources[host]
	n := len(page.Jobs)
	return s != nil && !s.newer && n > 0 && page.Cursor != "" && page.Jobs[n-1].Seq > s.top+1
}

// freshen takes over the newest jobs of a host once more; what lies beyond the window stays there.
func (h *history) freshen(host string, page api.JobPage, q *Query) {
	for _, j := range page.Jobs {
		if j.State.Ended() && q.Holds(host, &j) {
			h.ended(&row{host, j})
		}
	}
}

// before orders the history: newest first, and the same on every look.
func before(a, b *row) int {
	return cmp.Or(b.Accepted.Compare(a.Accepted), cmp.Compare(a.host, b.host), cmp.Compare(b.Seq, a.Seq))
}

// put adds a job, or replaces what was known of it.
func (h *history) put(r *row) {
	i, found := slices.BinarySearchFunc(h.rows, r, before)
	if found {
		h.rows[i] = r
		return
	}
	h.rows = slices.Insert(h.rows, i, r)
}

// ended adds a job that has just ended, where the window reaches up to the newest of its host.
func (h *history) ended(r *row) {
	s := h.sources[r.host]
	if s == nil || s.newer || s.older && s.bottom > 0 && r.Seq < s.bottom {
		return
	}
	if r.Seq > s.top {
		s.top, s.topAt = r.Seq, r.Accepted
	}
	if s.bottom == 0 {
		s.bottom, s.bottomAt = r.Seq, r.Accepted
	}
	h.put(r)
	h.trim(toNewer)
}

func (h *history) remove(host, id string) {
	h.rows = slices.DeleteFunc(h.rows, func(r *row) bool { return r.host == host && r.ID == id })
}

// keep lets go of what a query does not hold.
func (h *history) keep(q *Query) {
	h.rows = slices.DeleteFunc(h.rows, func(r *row) bool { return !q.Holds(r.host, &r.JobInfo) })
}

// trim lets go of the end from which the window moves away.
func (h *history) trim(d direction) {
	over := len(h.rows) - keptRows
	if over <= 0 {
		return
	}
	if d == toNewer {
		h.letGo(h.rows[len(h.rows)-over:], false)
		h.rows = h.rows[:len(h.rows)-over]
	} else {
		h.letGo(h.rows[:over], true)
		h.rows = slices.Clone(h.rows[over:])
	}
}

// letGo notes for each host of rows that the window no longer reaches them.
func (h *history) letGo(rows []*row, top bool) {
	for _, r := range rows {
		s := h.sources[r.host]
		if s == nil {
			continue
		}
		if top && r.Seq <= s.top {
			s.newer, s.top, s.topAt = true, r.Seq-1, r.Accepted
		}
		if !top && r.Seq >= s.bottom {
			s.older, s.bottom, s.bottomAt = true, r.Seq+1, r.Accepted
		}
	}
}

// visible returns the rows between which none can be missing: a host whose next page is not here
// may have jobs among those of others.
func (h *history) visible() []*row {
	lo, hi := 0, len(h.rows)
	for _, s := range h.sources {
		if s.failed {
			continue
		}
		if s.older && !s.bottomAt.IsZero() { // one that has not answered yet keeps nobody from being seen
			hi = min(hi, h.behind(s.bottomAt))
		}
		if s.newer && !s.topAt.IsZero() {
			lo = max(lo, h.from(s.topAt))
		}
	}
	if lo >= hi {
		return nil
	}
	return h.rows[lo:hi]
}

// behind is the index behind the last row that was accepted at t or later.
func (h *history) behind(t time.Time) int {
	i, _ := slices.BinarySearchFunc(h.rows, t, func(r *row, t time.Time) int {
		if r.Accepted.Before(t) {
			return 1
		}
		return -1
	})
	return i
}

// from is the index of the first row that was accepted at t or earlier.
func (h *history) from(t time.Time) int {
	i, _ := slices.BinarySearchFunc(h.rows, t, func(r *row, t time.Time) int {
		if r.Accepted.After(t) {
			return -1
		}
		return 1
	})
	return i
}

// enough tells whether a host has jobs here already beyond what can be seen: while others keep
// those from being seen, more of them would only push out what is on the screen.
func (h *history) enough(s *source, d direction) bool {
	for _, o := range h.sources {
		switch {
		case o == s || o.failed:
		case d == toOlder && o.older && s.bottom > 0 && (o.bottom == 0 && o.asked || o.bottomAt.After(s.bottomAt)):
			return true
		case d == toNewer && o.newer && s.top > 0 && !o.topAt.IsZero() && o.topAt.Before(s.topAt):
			return true
		}
	}
	return false
}

// more tells whether there is anything beyond the window in a direction.
func (h *history) more(d direction) bool {
	for _, s := range h.sources {
		if !s.failed && (d == toOlder && s.older || d == toNewer && s.newer) {
			return true
		}
	}
	return false
}

// loading tells whether a page is on its way.
func (h *history) loading() bool {
	for _, s := range h.sources {
		if s.asked {
			return true
		}
	}
	return false
}
