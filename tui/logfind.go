package tui

import (
	"context"
	"fmt"
	"math"
	"sort"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/executor/api"
)

// keptHits bounds the places of hits in memory; further ones are only counted.
const keptHits = 200_000

// logSearch is a text that is looked for in a log, and what is known of where it is. The host looks
// and counts; this only asks it, a moment's work at a time.
type logSearch struct {
	text    string
	places  []int64 // of hits, in order
	counted int
	upTo    int64 // the count covers the log up to there
	size    int64
	done    bool
	halted  bool               // the host did not go on counting
	stop    context.CancelFunc // of the count; nil: none
}

// logJump is the way to one hit, and the hit that it led to.
type logJump struct {
	number  int                // answers to another are dropped
	stop    context.CancelFunc // nil: it has ended
	target  int64              // where the hit is; -1: there is none
	line    int64              // where its line begins, as far as that is near
	next    int64              // where the way on begins; 0: not known
	problem bool               // it is one of an error or a warning
	spent   LogSearch          // found nothing any more: the same again begins at the other end
}

type (
	// foundMsg is the next hit, or that there is none.
	foundMsg struct {
		pane   *logPane
		jump   int
		search LogSearch
		hit    *api.LogHit
		next   int64
		err    error
	}
	// countMsg is a part of the count.
	countMsg struct {
		ctx   context.Context // of this count; it has ended where there is another
		pane  *logPane
		from  int64
		found api.LogFound
		err   error
	}
)

func (p *logPane) askSearch(m *Model) tea.Cmd {
	return m.open(&input{
		label: "/", help: "a text; small letters stand for large ones too. n goes on, N back",
		accept: func(m *Model, text string) tea.Cmd {
			p.forget()
			if p.search.text = text; text == "" {
				return nil
			}
			return tea.Batch(p.look(m, LogSearch{Text: text, From: p.here()}), p.recount(m))
		},
	}, p.search.text)
}

// forget drops the search and its hit, and ends what is under way for it.
func (p *logPane) forget() {
	p.abandon()
	if p.search.stop != nil {
		p.search.stop()
	}
	p.search, p.jumped = logSearch{}, logJump{number: p.jumped.number, target: -1}
}

// abandon ends the way to a hit: it must not move the screen once one has gone elsewhere.
func (p *logPane) abandon() {
	if p.jumped.stop != nil {
		p.jumped.stop()
		p.jumped.stop = nil
		p.jumped.number++
	}
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
	return p.goOn(m, LogSearch{Text: p.search.text, Backward: backward})
}

// problem goes to the next error or warning, or the one before.
func (p *logPane) problem(m *Model, backward bool) tea.Cmd {
	return p.goOn(m, LogSearch{Problems: true, Backward: backward})
}

// goOn looks beyond the hit that was jumped to; where there was none any more, from the other end.
func (p *logPane) goOn(m *Model, s LogSearch) tea.Cmd {
	switch {
	case s != p.jumped.spent:
		s.From = p.beyond(s.Backward)
	case s.Backward:
		s.From = math.MaxInt64
	}
	p.jumped.spent = LogSearch{}
	return p.look(m, s)
}

// beyond is where the next search begins: behind the line of the hit that was jumped to, or before it.
func (p *logPane) beyond(backward bool) int64 {
	j := &p.jumped
	switch {
	case j.target < 0:
		return p.here()
	case backward:
		return j.line
	case j.next > 0:
		return j.next
	case p.window.holds(j.target):
		return max(j.target+1, p.window.lines[p.window.at(j.target)].end)
	}
	return j.target + 1
}

// look asks the host until there is a hit or no more log.
func (p *logPane) look(m *Model, s LogSearch) tea.Cmd {
	p.abandon()
	s.Max, s.Stream = 1, p.stream
	ctx, stop := context.WithCancel(p.ctx)
	p.jumped.number++
	p.jumped.stop = stop
	client, of, number := m.client, p.of, p.jumped.number
	return func() tea.Msg {
		defer stop()
		msg := foundMsg{pane: p, jump: number, search: s}
		msg.hit, msg.next, msg.err = next(ctx, client, of, s)
		return msg
	}
}

// next returns the first hit, and where to go on behind it.
func next(ctx context.Context, client Client, of Ref, s LogSearch) (*api.LogHit, int64, error) {
	for {
		found, err := client.LogFind(ctx, of, s)
		switch {
		case err != nil:
			return nil, 0, err
		case len(found.Hits) > 0:
			return &found.Hits[0], found.Next, nil
		case found.Done || !advances(s, found): // it would ask the same for ever
			return nil, 0, nil
		}
		s.From = found.Next
	}
}

// advances tells whether a search has come further.
func advances(s LogSearch, found api.LogFound) bool {
	if s.Backward {
		return found.Next < s.From
	}
	return found.Next > s.From
}

func (p *logPane) takeFound(m *Model, msg foundMsg) tea.Cmd {
	p.jumped.stop = nil
	if msg.err != nil {
		m.complain("searching the log", msg.err)
		return nil
	}
	if msg.hit == nil {
		p.jumped.spent = LogSearch{Text: msg.search.Text, Problems: msg.search.Problems, Backward: msg.search.Backward}
		m.say(notice{text: msg.search.inVain()})
		return nil
	}
	p.follow = false
	p.hush()
	p.jumped = logJump{number: msg.jump, target: msg.hit.At, line: msg.hit.Offset, problem: msg.search.Problems}
	if !msg.search.Backward {
		p.jumped.next = msg.next
	}
	if !p.window.holds(msg.hit.At) {
		return p.jump(m, msg.hit.At)
	}
	p.show(m, msg.hit.At)
	return p.reach(m)
}

// inVain says what there is none of, and how to go on round the log.
func (s *LogSearch) inVain() string {
	what, key, where, from := s.Text, "n", "below", "top"
	if s.Problems {
		what, key = "error or warning", "e"
	}
	if s.Backward {
		key, where, from = strings.ToUpper(key), "above", "end"
	}
	return fmt.Sprintf("no further %s %s; %s goes on from the %s", what, where, key, from)
}

// recount counts the hits of the whole log on the stream that is shown, part after part.
func (p *logPane) recount(m *Model) tea.Cmd {
	if p.search.stop != nil {
		p.search.stop()
	}
	if p.search.text == "" {
		return nil
	}
	ctx, stop := context.WithCancel(p.ctx)
	p.search = logSearch{text: p.search.text, stop: stop}
	return p.count(ctx, m, 0)
}

func (p *logPane) count(ctx context.Context, m *Model, from int64) tea.Cmd {
	client, of := m.client, p.of
	s := LogSearch{Text: p.search.text, From: from, Stream: p.stream, Count: true, Max: 10_000}
	return func() tea.Msg {
		found, err := client.LogFind(ctx, of, s)
		if ctx.Err() != nil {
			return nil
		}
		return countMsg{ctx, p, from, found, err}
	}
}

func (p *logPane) takeCount(m *Model, msg countMsg) tea.Cmd {
	s := &p.search
	if s.halted = msg.err != nil; s.halted {
		m.complain("searching the log", msg.err)
		return nil
	}
	if s.counted == len(s.places) { // else some place before is not known
		s.places = append(s.places, msg.found.Places[:min(len(msg.found.Places), keptHits-len(s.places))]...)
	}
	s.counted += msg.found.Count
	s.upTo, s.size = msg.found.Next, msg.found.Size
	if s.done = msg.found.Done || msg.found.Next <= msg.from; s.done {
		return nil
	}
	return p.count(msg.ctx, m, s.upTo)
}

// searchStatus says which hit of how many the screen is at.
func (p *logPane) searchStatus() string {
	s, j := &p.search, &p.jumped
	looking := ""
	if j.stop != nil {
		looking = " · looking…"
	}
	if s.text == "" {
		return looking
	}
	total := fmt.Sprint(s.counted)
	if !s.done {
		total += fmt.Sprintf("+ (%s)", percent(s.upTo, s.size))
	}
	which := sort.Search(len(s.places), func(i int) bool { return s.places[i] > j.target })
	if j.target >= 0 && !j.problem && which > 0 && (which < len(s.places) || s.counted == len(s.places)) && (s.done || j.target < s.upTo) {
		return fmt.Sprintf(" · /%s %d of %s%s", s.text, which, total, looking)
	}
	lines := " lines"
	if total == "1" {
		lines = " line"
	}
	return fmt.Sprintf(" · /%s in %s%s%s", s.text, total, lines, looking)
}
