package tui

import (
	"context"
	"fmt"
	"sort"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/executor/api"
)

// keptHits bounds the places of hits in memory; further ones are only counted.
const keptHits = 200_000

// logSearch is what is looked for in a log. The host looks; this only asks it, a moment's work at a time.
type logSearch struct {
	number  int // answers to an earlier search are dropped
	text    string
	hits    []int64 // offsets of their lines, in order
	counted int
	upTo    int64 // the count covers the log up to there
	size    int64
	done    bool
	at      int64 // the line of the hit that was jumped to; -1: none yet
	looking bool
}

type (
	// foundMsg is the next hit, or that there is none.
	foundMsg struct {
		pane     *logPane
		search   int
		hit      *api.LogHit
		what     string
		backward bool
		err      error
	}
	// countMsg is a part of the count.
	countMsg struct {
		pane   *logPane
		search int
		found  api.LogFound
		err    error
	}
)

func (p *logPane) askSearch(m *Model) tea.Cmd {
	return m.open(&input{
		label: "/", help: "a text; small letters stand for large ones too. n goes on, N back",
		accept: func(m *Model, text string) tea.Cmd {
			p.search = logSearch{number: p.search.number + 1, text: text, at: -1}
			if text == "" {
				return nil
			}
			return tea.Batch(p.look(m, LogSearch{Text: text, From: p.here()}), p.count(m, 0))
		},
	}, p.search.text)
}

// here is the offset of the line at the top.
func (p *logPane) here() int64 {
	if p.top < len(p.window.lines) {
		return p.window.lines[p.top].offset
	}
	return 0
}

// again goes to the next hit, or the one before.
func (p *logPane) again(m *Model, backward bool) tea.Cmd {
	if p.search.text == "" {
		return p.askSearch(m)
	}
	return p.look(m, LogSearch{Text: p.search.text, From: p.beyond(backward), Backward: backward})
}

// problem goes to the next error or warning, or the one before.
func (p *logPane) problem(m *Model, backward bool) tea.Cmd {
	return p.look(m, LogSearch{Problems: true, From: p.beyond(backward), Backward: backward})
}

// beyond is where the next search begins: behind the line that was jumped to, or before it.
func (p *logPane) beyond(backward bool) int64 {
	if p.target < 0 {
		return p.here()
	}
	if backward {
		return p.target
	}
	i := p.window.at(p.target)
	if i < len(p.window.lines) && p.window.lines[i].offset <= p.target {
		return p.window.lines[i].end
	}
	return p.target + 1
}

// look asks the host until there is a hit or no more log.
func (p *logPane) look(m *Model, s LogSearch) tea.Cmd {
	p.search.looking = true
	s.Max = 1
	ctx, client, of, number := p.ctx, m.client, p.of, p.search.number
	what := s.Text
	if s.Problems {
		what = "error or warning"
	}
	return func() tea.Msg {
		msg := foundMsg{pane: p, search: number, what: what, backward: s.Backward}
		msg.hit, msg.err = next(ctx, client, of, s)
		return msg
	}
}

func next(ctx context.Context, client Client, of Ref, s LogSearch) (*api.LogHit, error) {
	for {
		found, err := client.LogFind(ctx, of, s)
		switch {
		case err != nil:
			return nil, err
		case len(found.Hits) > 0:
			return &found.Hits[0], nil
		case found.Done:
			return nil, nil
		}
		s.From = found.Next
	}
}

func (p *logPane) takeFound(m *Model, msg foundMsg) tea.Cmd {
	p.search.looking = false
	if msg.err != nil {
		m.complain("searching the log", msg.err)
		return nil
	}
	if msg.hit == nil {
		where := "below"
		if msg.backward {
			where = "above"
		}
		m.say(notice{text: "no further " + msg.what + " " + where, bad: true})
		return nil
	}
	p.follow = false
	p.hush()
	p.target = msg.hit.Offset
	if msg.search == p.search.number {
		p.search.at = msg.hit.Offset
	}
	if !p.window.holds(msg.hit.Offset) {
		return p.jump(m, msg.hit.Offset)
	}
	p.show(m, msg.hit.Offset)
	return p.reach(m)
}

// count counts the hits of the whole log, part after part.
func (p *logPane) count(m *Model, from int64) tea.Cmd {
	ctx, client, of, number, text := p.ctx, m.client, p.of, p.search.number, p.search.text
	return func() tea.Msg {
		found, err := client.LogFind(ctx, of, LogSearch{Text: text, From: from, Max: 10_000})
		return countMsg{p, number, found, err}
	}
}

func (p *logPane) takeCount(m *Model, msg countMsg) tea.Cmd {
	s := &p.search
	if msg.err != nil {
		m.complain("searching the log", msg.err)
		return nil
	}
	for _, hit := range msg.found.Hits {
		s.counted++
		if len(s.hits) < keptHits {
			s.hits = append(s.hits, hit.Offset)
		}
	}
	s.upTo, s.size, s.done = msg.found.Next, msg.found.Size, msg.found.Done
	if s.done {
		return nil
	}
	return p.count(m, s.upTo)
}

// status says which hit of how many the screen is at.
func (s *logSearch) status() string {
	if s.text == "" {
		if s.looking {
			return " · looking…"
		}
		return ""
	}
	total := fmt.Sprint(s.counted)
	if !s.done {
		total += fmt.Sprintf("+ (%s)", percent(s.upTo, s.size))
	}
	if s.at >= 0 && (s.done || s.at < s.upTo) {
		if i := sort.Search(len(s.hits), func(i int) bool { return s.hits[i] >= s.at }); i < len(s.hits) {
			return fmt.Sprintf(" · /%s %d of %s", s.text, i+1, total)
		}
	}
	return fmt.Sprintf(" · /%s in %s lines", s.text, total)
}
