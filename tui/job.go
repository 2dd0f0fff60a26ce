package tui

import (
	"math"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// jobPane is all that is known of one job.
type jobPane struct {
	of      Ref
	record  Record
	reading reading
	read    bool   // what the record has is here
	problem string // why it is not, or not all of it
	trouble troubles
	lifetime
	scrollPane
}

// troubles are the lines of a job's log that tell of errors and warnings.
type troubles struct {
	found   api.LogFound
	problem string    // why they are not as new as they could be
	asked   int       // how often they were asked for: answers of before are dropped
	got     int       // to which of these there was an answer
	at      time.Time // when they were asked for last
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
	pane   *jobPane
	number int
	found  api.LogFound
	err    error
}

func (m *Model) openJob() tea.Cmd {
	r := m.current()
	if r == nil {
		return nil
	}
	p := &jobPane{of: r.ref(), lifetime: live(m.ctx)}
	m.push(p)
	p.count = 1 << 20
	return p.load(m, r)
}

// load reads the documents and the lines of the log that tell of trouble.
func (p *jobPane) load(m *Model, r *row) tea.Cmd {
	return tea.Batch(p.reading.ask(p.ctx, m.client, r), p.look(m))
}

const (
	shownTrouble = 12 // lines of trouble that a job shows
	// lookAgain is how old they may be of a job that runs: hosts do not tell of every line of a log.
	lookAgain = 5 * time.Second
)

// look asks for trouble from the log's end backwards: the error that ended a job comes behind many warnings.
func (p *jobPane) look(m *Model) tea.Cmd {
	p.trouble.asked++
	p.trouble.at = m.now
	ctx, client, of, number := p.ctx, m.client, p.of, p.trouble.asked
	return func() tea.Msg {
		found, err := client.LogFind(ctx, of, LogSearch{Problems: true, From: math.MaxInt64, Backward: true, Max: shownTrouble})
		slices.Reverse(found.Hits)
		return troubleMsg{p, number, found, err}
	}
}

// takeTrouble keeps what is known where there is nothing newer.
func (p *jobPane) takeTrouble(msg troubleMsg) {
	if p.trouble.got = msg.number; msg.err != nil {
		p.trouble.problem = msg.err.Error()
		return
	}
	p.trouble.found, p.trouble.problem = msg.found, ""
}

// tick looks again while the job runs and is looked at.
func (p *jobPane) tick(m *Model) tea.Cmd {
	r, t := m.jobs.find(p.of), &p.trouble
	if m.top() != pane(p) || r == nil || r.State != manifest.Running || m.host(p.of.Host).lost() || t.got < t.asked || m.now.Sub(t.at) < lookAgain {
		return nil
	}
	return p.look(m)
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
		p.takeRecord(msg)
	case troubleMsg:
		if msg.pane == p && msg.number == p.trouble.asked {
			p.takeTrouble(msg)
		}
	case newsMsg:
		return p.takeNews(m, msg)
	case tickMsg:
		return p.tick(m)
	}
	return nil
}

func (p *jobPane) takeNews(m *Model, msg newsMsg) tea.Cmd {
	switch r := m.jobs.find(p.of); {
	case msg.host != p.of.Host:
		return nil
	case p.reading.again(r, msg.event):
		return p.load(m, r)
	case p.trouble.problem != "" && msg.event.First:
		return p.look(m)
	}
	return nil
}

// takeRecord takes over the documents that there are: one may be had without the other.
func (p *jobPane) takeRecord(msg recordMsg) {
	p.read, p.problem = true, ""
	if msg.err != nil {
		p.problem = msg.err.Error()
	}
	if msg.record.Spec != nil {
		p.record.Spec = msg.record.Spec
	}
	if msg.record.Manifest != nil {
		p.record.Manifest = msg.record.Manifest
	}
}
