package tui

import (
	"context"
	"slices"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/executor/api"
)

// keep remembers a job for as long as something other than the table is about it: a mark, a watch
// or an open place. A filter, or a window that moved on, would else take it from them.
func (p *jobsPane) keep(r *row) { p.kept[r.ref()] = r }

// rekeep takes over what became known of a job that is kept.
func (p *jobsPane) rekeep(r *row) {
	if p.kept[r.ref()] != nil {
		p.keep(r)
	}
}

func (p *jobsPane) forget(ref Ref) {
	delete(p.marked, ref)
	delete(p.watched, ref)
	delete(p.kept, ref)
	p.history.remove(ref.Host, ref.ID)
}

// about is the job that a place is about; false: it is about none.
func about(p pane) (Ref, bool) {
	of, ok := p.(interface{ ref() Ref })
	if !ok {
		return Ref{}, false
	}
	ref := of.ref()
	return ref, ref.ID != "" // a report is about a host
}

// shows tells whether a place on the stack is about a job.
func (m *Model) shows(ref Ref) bool {
	return slices.ContainsFunc(m.stack, func(p pane) bool {
		of, ok := about(p)
		return ok && of == ref
	})
}

// missedMsg is what became of jobs while there was no contact with their host.
type missedMsg struct {
	host string
	news api.News
}

// catchUp asks for the jobs that were last seen before they ended, and are no longer among those
// that have not: nobody else tells that they ended.
func (m *Model) catchUp(host string) tea.Cmd {
	var missed []Ref
	for ref, r := range m.jobs.kept {
		switch {
		case ref.Host != host:
		case !m.jobs.marked[ref] && !m.jobs.watched[ref] && !m.shows(ref):
			delete(m.jobs.kept, ref)
		case m.jobs.live[ref] == nil && !r.State.Ended():
			missed = append(missed, ref)
		}
	}
	if len(missed) == 0 {
		return nil
	}
	ctx, client := m.ctx, m.client
	return func() tea.Msg { return missing(ctx, client, host, missed) }
}

func missing(ctx context.Context, client Client, host string, refs []Ref) tea.Msg {
	var news api.News
	for _, ref := range refs {
		page, err := client.Jobs(ctx, host, Ask{Query: Query{ID: ref.ID}, Limit: 1})
		switch {
		case err != nil: // asked again when the host is there again
		case len(page.Jobs) == 0:
			news.Gone = append(news.Gone, ref.ID)
		case page.Jobs[0].State.Ended(): // of others the host itself tells
			news.Jobs = append(news.Jobs, page.Jobs[0])
		}
	}
	return missedMsg{host, news}
}
