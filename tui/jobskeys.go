package tui

import (
	tea "charm.land/bubbletea/v2"
)

func (p *jobsPane) place() place { return inJobs }

func (p *jobsPane) title(*Model) string { return "jobs" }

func (p *jobsPane) close() {}

func (p *jobsPane) take(*Model, tea.Msg) tea.Cmd { return nil }

func (p *jobsPane) move(m *Model, by motion) tea.Cmd {
	h := max(1, m.body()-1)
	if by != (motion{}) {
		p.held, p.lost = true, Ref{}
	}
	switch {
	case by.ends < 0:
		p.cursor, p.toEnd = 0, false
		if p.history.more(toNewer) {
			p.held = false
			return p.restart(m, fromNewest)
		}
	case by.ends > 0 && p.history.more(toOlder):
		return p.restart(m, fromOldest)
	case by.ends > 0:
		p.cursor = len(p.view) - 1
	default:
		p.cursor += by.lines + by.pages*h/2
		if by.lines < 0 && p.cursor >= 0 && p.cursor < len(p.view) && p.view[p.cursor].row == nil {
			p.cursor-- // over a heading
		}
	}
	p.hold()
	p.top = p.scroll(h)
	return p.reach(m)
}

func (p *jobsPane) click(m *Model, line int) tea.Cmd {
	i := p.scroll(max(1, m.body()-1)) + line - 1
	if line < 1 || i >= len(p.view) {
		return nil
	}
	if i == p.cursor {
		return m.openJob()
	}
	p.cursor, p.held, p.lost = i, true, Ref{}
	p.hold()
	return p.reach(m)
}

// clear drops what narrows the table, one thing after another.
func (p *jobsPane) clear(m *Model) (bool, tea.Cmd) {
	switch {
	case len(p.marked) > 0:
		clear(p.marked)
	case p.search != "":
		p.search = ""
	case p.query.Source != "" || p.wrong != "":
		return true, m.filter("")
	default:
		return false, nil
	}
	return true, nil
}

// filter makes the table that of a query.
func (m *Model) filter(text string) tea.Cmd {
	p := m.jobs
	q, err := ParseQuery(text, m.now)
	if err != nil {
		p.wrong = err.Error()
		return nil
	}
	p.wrong = ""
	if q.Source == p.query.Source {
		return nil // to read all anew would only lose the place
	}
	p.query = q
	cmd := p.restart(m, fromNewest)
	p.refresh()
	p.held = p.held && p.at != (Ref{}) // else the choice is the first of what comes
	return cmd
}

func (m *Model) askFilter() tea.Cmd {
	p := m.jobs
	before := p.query.Source
	return m.open(&input{
		label: "filter", help: queryHelp(before),
		suggest: func(typed string) []string { return complete(typed, p.known(m.hosts)) },
		change:  func(m *Model, text string) tea.Cmd { m.input.help = queryHelp(text); return nil },
		accept:  func(m *Model, text string) tea.Cmd { return m.filter(text) },
		reject:  func(*Model) tea.Cmd { p.wrong = ""; return nil },
		history: &p.filters,
	}, before)
}

func (m *Model) askSearch() tea.Cmd {
	p := m.jobs
	from := p.cursor
	return m.open(&input{
		label: "/", help: "the next job with this in it; n and N go on",
		change: func(_ *Model, text string) tea.Cmd {
			p.search, p.cursor = text, from-1
			if text == "" || !p.lookFor(1) {
				p.cursor = from
			}
			p.hold()
			return nil
		},
		accept: func(m *Model, text string) tea.Cmd {
			if text != "" && (p.current() == nil || !mentions(p.current().host, &p.current().JobInfo, lowered(text))) {
				m.say(notice{text: "no job below has " + text + " in it"})
			}
			return p.reach(m)
		},
		reject: func(*Model) tea.Cmd {
			p.search, p.cursor = "", from
			p.hold()
			return nil
		},
	}, "")
}

func (m *Model) searchJobs(step int) tea.Cmd {
	p := m.jobs
	if p.search == "" {
		return m.askSearch()
	}
	if !p.lookFor(step) {
		m.say(notice{text: "no further job here has " + p.search + " in it"})
	}
	return p.reach(m)
}

func (m *Model) sortJobs() tea.Cmd {
	m.jobs.sort = (m.jobs.sort + 1) % columns
	return m.rearrange()
}

func (m *Model) reverseJobs() tea.Cmd {
	m.jobs.reverse = !m.jobs.reverse
	return m.rearrange()
}

func (m *Model) groupJobs() tea.Cmd {
	m.jobs.group = (m.jobs.group + 1) % groupings
	return m.rearrange()
}

// rearrange shows the table in another order: from its first line the first that is there then.
func (m *Model) rearrange() tea.Cmd {
	m.jobs.held = m.jobs.held && m.jobs.cursor > 0
	m.jobs.refresh()
	m.jobs.settle(m)
	return nil
}

// marks is a pane whose lines can be marked.
type marks interface {
	toggle(m *Model) tea.Cmd
	all()
}

func (m *Model) mark() tea.Cmd {
	if p, ok := m.top().(marks); ok {
		return p.toggle(m)
	}
	return nil
}

func (m *Model) markAll() tea.Cmd {
	if p, ok := m.top().(marks); ok {
		p.all()
	}
	return nil
}

func (p *jobsPane) toggle(m *Model) tea.Cmd {
	r := p.current()
	if r == nil {
		return nil
	}
	if ref := r.ref(); p.marked[ref] {
		delete(p.marked, ref)
	} else {
		p.marked[ref] = true
		p.keep(r)
	}
	return p.move(m, motion{lines: 1})
}

func (p *jobsPane) all() {
	if len(p.marked) > 0 {
		clear(p.marked)
		return
	}
	for _, l := range p.view {
		if l.row != nil {
			p.marked[l.row.ref()] = true
			p.keep(l.row)
		}
	}
}
