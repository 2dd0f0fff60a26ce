package tui

import (
	"cmp"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// jobsPane is the table of all jobs of all hosts: those that have not ended, then the past.
type jobsPane struct {
	live    map[Ref]*row
	history history
	query   Query
	wrong   string // why what was typed is no query
	sort    column
	reverse bool
	group   grouping

	view    []line // what the table has, in order
	cursor  int    // in view
	at      Ref    // the job under it, so that new jobs do not move the choice
	held    bool   // the choice stays on its job; else it is the first line, while the table first fills
	lost    Ref    // the job that it was on until its host was heard of anew
	top     int    // first line of view on the screen
	marked  map[Ref]bool
	watched map[Ref]bool
	kept    map[Ref]*row // jobs that something is about whether or not the table has them
	search  string       // what / looks for
	toEnd   bool         // the cursor goes to the last line when the page is here
	filters []string     // that were typed before

	fromHosts bool // the table is that of a host that was chosen among the hosts
}

// line is a job, or the heading of a group.
type line struct {
	row   *row
	head  string
	count int
}

// column is what the table is sorted by.
type column int

const (
	byDefault column = iota // those that run, those that wait in their order, then the past
	byName
	byHost
	byState
	byAge
	byDuration
	columns
)

var columnNames = [columns]string{"time", "name", "host", "state", "age", "duration"}

type grouping int

const (
	ungrouped grouping = iota
	groupHost
	groupProject
	groupings
)

var groupNames = [groupings]string{"none", "host", "project"}

func newJobsPane() *jobsPane {
	p := &jobsPane{live: map[Ref]*row{}, marked: map[Ref]bool{}, watched: map[Ref]bool{}, kept: map[Ref]*row{}}
	return p
}

// pageMsg is a page of a host's history.
type pageMsg struct {
	generation int
	host       string
	direction  direction
	page       api.JobPage
	err        error
}

// restart reads the history anew, from one of its ends.
func (p *jobsPane) restart(m *Model, end direction) tea.Cmd {
	var names []string
	for _, h := range m.hosts {
		if len(p.query.Hosts) == 0 || slices.Contains(p.query.Hosts, h.Name) {
			names = append(names, h.Name)
		}
	}
	if len(p.query.EndedStates()) == 0 {
		names = nil
	}
	p.history.reset(names, end)
	p.toEnd = end == fromOldest
	return p.pull(m, end)
}

// greet reads the history of a host that is there now, or there again: what ended meanwhile too.
// Only now, behind the first news: a job that ends between the two would be in neither.
func (p *jobsPane) greet(m *Model, host string) tea.Cmd {
	s := p.history.sources[host]
	if s == nil {
		return nil
	}
	s.failed = false
	if s.bottom == 0 {
		ask, ok := s.want(toOlder, Ask{Query: p.query})
		if !ok {
			return nil
		}
		return m.page(p.history.generation, host, toOlder, ask)
	}
	return tea.Batch(m.page(p.history.generation, host, afresh, Ask{Query: p.query, Limit: pageSize}), p.reach(m))
}

// pull asks every host that has more in a direction for its next page.
func (p *jobsPane) pull(m *Model, d direction) tea.Cmd {
	var commands []tea.Cmd
	for _, s := range p.history.sources {
		if !m.host(s.host).ready() {
			s.failed = true // until it is heard of
		}
		base := Ask{Query: p.query}
		if d == fromOldest {
			var oldest int64
			base.After = &oldest
		}
		if p.history.enough(s, d) {
			continue
		}
		if ask, ok := s.want(d, base); ok {
			commands = append(commands, m.page(p.history.generation, s.host, d, ask))
		}
	}
	return tea.Batch(commands...)
}

func (m *Model) page(generation int, host string, d direction, ask Ask) tea.Cmd {
	ctx, client := m.ctx, m.client
	return func() tea.Msg {
		page, err := client.Jobs(ctx, host, ask)
		return pageMsg{generation, host, d, page, err}
	}
}

func (p *jobsPane) takePage(m *Model, msg pageMsg) tea.Cmd {
	if msg.generation != p.history.generation {
		return nil
	}
	if msg.err != nil {
		if s := p.history.sources[msg.host]; s != nil {
			s.asked, s.failed = false, m.host(msg.host).lost() // else the next move asks again
		}
		p.refresh()
		m.complainOf(msg.host, msg.err)
		return nil
	}
	d := msg.direction
	if d == afresh {
		if p.history.gap(msg.host, msg.page) {
			return p.bridge(m, msg.host)
		}
		p.history.freshen(msg.host, msg.page, &p.query)
		p.refresh()
		return nil
	}
	if d == fromOldest {
		if s := p.history.sources[msg.host]; s != nil {
			s.older = false
		}
		d = toNewer
	}
	p.history.take(msg.host, d, msg.page, &p.query)
	p.refresh()
	p.settle(m)
	if p.toEnd {
		p.cursor = len(p.view) - 1
		p.hold()
		p.toEnd = p.history.loading()
	}
	return p.reach(m)
}

// bridge goes on behind an absence in which more jobs of a host ended than a page has. A choice among
// those that ended before it stays, and what came since lies beyond the window; any other begins at the
// newest, and the choice comes back to its job with the page that has it.
func (p *jobsPane) bridge(m *Model, host string) tea.Cmd {
	r := p.current()
	past := r != nil && p.held && p.live[r.ref()] == nil
	if s := p.history.sources[host]; past && p.lost == (Ref{}) && !r.Accepted.After(s.topAt) {
		s.newer = true
		p.refresh()
		return p.reach(m)
	}
	if past && p.lost == (Ref{}) {
		p.lost = p.at
	}
	return p.restart(m, fromNewest)
}

// complainOf says once that a host's jobs cannot be read; of a host that is lost its watch says it.
func (m *Model) complainOf(host string, err error) {
	what := "the jobs of " + host
	if !m.host(host).lost() && !slices.ContainsFunc(m.notices, func(n notice) bool { return n.bad && n.verb == what }) {
		m.complain(what, err)
	}
}

// reach asks for more where the screen comes near the end of what is here.
func (p *jobsPane) reach(m *Model) tea.Cmd {
	ahead := max(pageSize/2, 2*m.height)
	var down, up tea.Cmd
	if p.cursor+ahead >= len(p.view) {
		down = p.pull(m, toOlder)
	}
	if p.history.more(toNewer) && p.cursor-ahead <= len(p.live) {
		up = p.pull(m, toNewer)
	}
	return tea.Batch(down, up)
}

// takeNews takes over what a host says of its jobs, and returns those that ended just now.
func (p *jobsPane) takeNews(host string, e Event) (ended []*row) {
	was := p.at
	if e.First {
		for ref := range p.live {
			if ref.Host == host {
				delete(p.live, ref)
			}
		}
	}
	for _, j := range e.News.Jobs {
		ref, r := Ref{host, j.ID}, &row{host, j}
		_, lived := p.live[ref]
		p.rekeep(r)
		switch {
		case !j.State.Ended():
			p.live[ref] = r
		default:
			delete(p.live, ref)
			if p.query.Holds(host, &j) {
				p.history.ended(r)
			}
			if lived || p.watched[ref] {
				ended = append(ended, r)
			}
		}
	}
	for _, id := range e.News.Gone {
		delete(p.live, Ref{host, id})
		p.forget(Ref{host, id})
	}
	p.refresh()
	if e.First && p.held && was.Host == host && p.at != was {
		p.lost = was // what follows may have it still
	}
	return ended
}

// refresh puts together what the table has; the choice stays on its job.
func (p *jobsPane) refresh() {
	rows := make([]*row, 0, len(p.live)+64)
	for _, r := range p.live {
		if p.query.Holds(r.host, &r.JobInfo) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, liveOrder)
	rows = append(rows, p.history.visible()...)
	if p.sort != byDefault {
		slices.SortStableFunc(rows, p.order)
	} else if p.reverse {
		slices.Reverse(rows)
	}
	p.view = p.grouped(rows)
	p.follow()
}

// age lets go of jobs that a filter by time no longer holds: a screen is open all day.
func (p *jobsPane) age(now time.Time) {
	q, err := ParseQuery(p.query.Source, now)
	if err != nil || q.Since.Equal(p.query.Since) {
		return
	}
	p.query = q
	p.history.keep(&q)
	p.refresh()
}

// settle holds the choice from when the table is there: a job that comes then above the one that is
// highlighted must not become the one that a key is about.
func (p *jobsPane) settle(m *Model) {
	p.held = p.held || p.at != (Ref{}) && !m.connecting() && !p.history.loading()
}

// follow keeps the cursor on its job wherever that went. From the top of the table what is new is seen.
func (p *jobsPane) follow() {
	if p.lost != (Ref{}) && slices.ContainsFunc(p.view, func(l line) bool { return l.row != nil && l.row.ref() == p.lost }) {
		p.at, p.lost = p.lost, Ref{}
	}
	if !p.held {
		p.cursor, p.top = 0, 0
	} else if p.at != (Ref{}) {
		if p.cursor < len(p.view) && p.view[max(0, p.cursor)].row != nil && p.view[p.cursor].row.ref() == p.at {
			return
		}
		if i := slices.IndexFunc(p.view, func(l line) bool { return l.row != nil && l.row.ref() == p.at }); i >= 0 {
			if p.top > 0 {
				p.top += i - p.cursor
			}
			p.cursor = i
			return
		}
	}
	p.hold()
}

// seek puts the cursor on a job, if the table has it.
func (p *jobsPane) seek(ref Ref) {
	if i := slices.IndexFunc(p.view, func(l line) bool { return l.row != nil && l.row.ref() == ref }); i >= 0 {
		p.cursor, p.held, p.lost = i, true, Ref{}
		p.hold()
	}
}

// hold keeps the cursor within the table and on a job.
func (p *jobsPane) hold() {
	p.cursor = min(max(p.cursor, 0), max(0, len(p.view)-1))
	p.at = Ref{}
	if p.cursor < len(p.view) {
		if p.view[p.cursor].row == nil && p.cursor+1 < len(p.view) {
			p.cursor++
		}
		if r := p.view[p.cursor].row; r != nil {
			p.at = r.ref()
		}
	}
}

// liveOrder puts those that run before those that wait, newest and next first.
func liveOrder(a, b *row) int {
	running := func(r *row) int {
		if r.State == manifest.Queued {
			return 1
		}
		return 0
	}
	if c := cmp.Compare(running(a), running(b)); c != 0 {
		return c
	}
	if running(a) == 1 {
		return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.host, b.host), cmp.Compare(a.Seq, b.Seq))
	}
	return before(a, b)
}

func (p *jobsPane) order(a, b *row) int {
	c := 0
	switch p.sort {
	case byName:
		c = strings.Compare(a.Name, b.Name)
	case byHost:
		c = strings.Compare(a.host, b.host)
	case byState:
		c = cmp.Compare(slices.Index(manifest.States, a.State), slices.Index(manifest.States, b.State))
	case byAge:
		c = b.Accepted.Compare(a.Accepted)
	case byDuration:
		c = cmp.Compare(took(b), took(a))
	}
	if p.reverse {
		return -c
	}
	return c
}

func took(r *row) time.Duration {
	switch {
	case r.Started == nil:
		return 0
	case r.Ended == nil:
		return 1 << 60 // it runs: longest, until it is known better
	}
	return r.Ended.Sub(*r.Started)
}

// grouped puts headings between the jobs of different groups.
func (p *jobsPane) grouped(rows []*row) []line {
	if p.group == ungrouped {
		view := make([]line, len(rows))
		for i, r := range rows {
			view[i].row = r
		}
		return view
	}
	groups, names := map[string][]*row{}, []string{}
	for _, r := range rows {
		name := r.host
		if p.group == groupProject {
			name = dash(r.Project)
		}
		if groups[name] == nil {
			names = append(names, name)
		}
		groups[name] = append(groups[name], r)
	}
	slices.Sort(names)
	var view []line
	for _, name := range names {
		view = append(view, line{head: name, count: len(groups[name])})
		for _, r := range groups[name] {
			view = append(view, line{row: r})
		}
	}
	return view
}

// current is the job under the cursor.
func (p *jobsPane) current() *row {
	if p.cursor < 0 || p.cursor >= len(p.view) {
		return nil
	}
	return p.view[p.cursor].row
}

// chosen are the jobs that an action is about: all that are marked, whether or not the table shows
// them now, else the one under the cursor.
func (p *jobsPane) chosen() []*row {
	var rows []*row
	shown := map[Ref]bool{}
	for _, l := range p.view {
		if l.row != nil && p.marked[l.row.ref()] {
			rows, shown[l.row.ref()] = append(rows, l.row), true
		}
	}
	var hidden []*row
	for ref := range p.marked {
		if r := p.find(ref); r != nil && !shown[ref] {
			hidden = append(hidden, r)
		}
	}
	slices.SortFunc(hidden, liveOrder)
	rows = append(rows, hidden...)
	if r := p.current(); len(p.marked) == 0 && r != nil {
		rows = append(rows, r)
	}
	return rows
}

// find returns what is known of a job, or nil.
func (p *jobsPane) find(ref Ref) *row {
	if r := p.live[ref]; r != nil {
		return r
	}
	for _, r := range p.history.rows {
		if r.ID == ref.ID && r.host == ref.Host {
			return r
		}
	}
	return p.kept[ref]
}

// lookFor moves the cursor to the next job that has the searched text in it, in a direction.
func (p *jobsPane) lookFor(step int) bool {
	want := strings.ToLower(p.search)
	for i := p.cursor + step; i >= 0 && i < len(p.view); i += step {
		if r := p.view[i].row; r != nil && mentions(r.host, &r.JobInfo, want) {
			p.cursor, p.held, p.lost = i, true, Ref{}
			p.hold()
			return true
		}
	}
	return false
}
