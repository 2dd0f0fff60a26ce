package tui

import (
	"context"
	"math"
	"slices"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/executor/api"
)

// jobPane is all that is known of one job.
type jobPane struct {
	of      Ref
	record  Record
	reading reading
	read    bool   // what the record has is here
	problem string // why it is not
	trouble api.LogFound
	scrollPane
}

// scrollPane is what panes share that only scroll.
type scrollPane struct {
	first int // line at the top
	count int // lines there are, as last drawn
	side  int
}

func (s *scrollPane) moveBy(by motion, h int) {
	switch {
	case by.ends < 0:
		s.first = 0
	case by.ends > 0:
		s.first = s.count
	}
	s.first += by.lines + by.pages*max(1, h/2)
	s.first = max(0, min(s.first, s.count-h))
	s.side = max(0, s.side+8*by.sideways)
}

// troubleMsg is what the log of a job has of errors and warnings.
type troubleMsg struct {
	of    Ref
	found api.LogFound
	err   error
}

func (m *Model) openJob() tea.Cmd {
	r := m.current()
	if r == nil {
		return nil
	}
	p := &jobPane{of: r.ref()}
	m.push(p)
	p.count = 1 << 20
	return p.load(m, r)
}

// load reads the documents and the lines of the log that tell of trouble.
func (p *jobPane) load(m *Model, r *row) tea.Cmd {
	return tea.Batch(p.reading.ask(m.ctx, m.client, r), trouble(m.ctx, m.client, p.of))
}

// shownTrouble is how many lines of trouble a job shows.
const shownTrouble = 12

// trouble looks from the log's end backwards: the error that ended a job comes behind many warnings.
func trouble(ctx context.Context, client Client, of Ref) tea.Cmd {
	return func() tea.Msg {
		found, err := client.LogFind(ctx, of, LogSearch{Problems: true, From: math.MaxInt64, Backward: true, Max: shownTrouble})
		slices.Reverse(found.Hits)
		return troubleMsg{of, found, err}
	}
}

func (p *jobPane) ref() Ref { return p.of }

func (p *jobPane) place() place { return inJob }

func (p *jobPane) title(m *Model) string {
	if r := m.current(); r != nil && r.Name != "" {
		return r.Name
	}
	return p.of.ID
}

func (p *jobPane) status(m *Model) string {
	return m.theme.dim.paint(fit(p.of.String(), m.width-2))
}

func (p *jobPane) close() {}

func (p *jobPane) move(m *Model, by motion) tea.Cmd {
	p.count = len(p.text(m, m.width))
	p.moveBy(by, m.body())
	return nil
}

func (p *jobPane) click(*Model, int) tea.Cmd { return nil }

func (p *jobPane) take(m *Model, msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case recordMsg:
		if msg.of != p.of {
			return nil
		}
		p.reading.got(msg)
		p.read, p.problem = true, ""
		if msg.err != nil {
			p.problem = msg.err.Error()
			return nil
		}
		p.record = msg.record
	case troubleMsg:
		if msg.of == p.of {
			p.trouble = msg.found
		}
	case newsMsg:
		if r := m.jobs.find(p.of); msg.host == p.of.Host && p.reading.again(r, msg.event) {
			return p.load(m, r)
		}
	}
	return nil
}
