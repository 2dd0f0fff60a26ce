package tui

import (
	"fmt"
	"math"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

func inLogs() []action {
	log := func(do func(p *logPane, m *Model) tea.Cmd) func(m *Model) tea.Cmd {
		return func(m *Model) tea.Cmd {
			if p, ok := m.top().(*logPane); ok {
				return do(p, m)
			}
			return nil
		}
	}
	return []action{
		{keys: []string{"f"}, places: inLog, name: "follow", says: "keeps the end in view, or stands still", verb: "logs -f JOB", hint: inLog, do: log((*logPane).toggleFollow)},
		{keys: []string{"/"}, places: inLog, name: "search", says: "the next line with a text; small letters stand for large ones too", verb: "logs --find TEXT JOB", hint: inLog, do: log((*logPane).askSearch)},
		{keys: []string{"n"}, places: inLog, name: "next", says: "the next line with it", verb: "logs --find TEXT JOB", do: log(func(p *logPane, m *Model) tea.Cmd { return p.again(m, false) })},
		{keys: []string{"N"}, places: inLog, name: "previous", says: "the one before", verb: "logs --find TEXT JOB", do: log(func(p *logPane, m *Model) tea.Cmd { return p.again(m, true) })},
		{keys: []string{"e"}, places: inLog, name: "next error", says: "the next error or warning", verb: "logs --problems JOB", hint: inLog, do: log(func(p *logPane, m *Model) tea.Cmd { return p.problem(m, false) })},
		{keys: []string{"E"}, places: inLog, name: "previous error", says: "the error or warning before", verb: "logs --problems JOB", do: log(func(p *logPane, m *Model) tea.Cmd { return p.problem(m, true) })},
		{keys: []string{"w"}, places: inLog | inText, name: "wrap", says: "wraps long lines, or cuts them", hint: inLog, do: (*Model).toggleWrap},
		{keys: []string{"T"}, places: inLog, name: "times", says: "shows when each line was written", verb: "logs -t JOB", do: log(func(p *logPane, _ *Model) tea.Cmd { p.stamps = !p.stamps; return nil })},
		{keys: []string{"o"}, places: inLog, name: "stream", says: "stdout and stderr, stdout alone, stderr alone", verb: "logs --stream stderr JOB", hint: inLog, do: log((*logPane).nextStream)},
		{keys: []string{"s"}, places: inLog, name: "save", says: "writes it to a file here", verb: "logs JOB >FILE 2>&1", hint: inLog, do: (*Model).saveLog},
	}
}

func (m *Model) toggleWrap() tea.Cmd {
	switch p := m.top().(type) {
	case *logPane:
		p.wrapped, p.side, p.sub = !p.wrapped, 0, 0
		p.hold(m)
	case *textPane:
		p.wrapped = !p.wrapped
		p.rewrap(m.width)
	}
	return nil
}

func (p *logPane) toggleFollow(m *Model) tea.Cmd {
	p.abandon()
	if p.follow = !p.follow; !p.follow {
		p.hush()
		return nil
	}
	return p.jump(m, math.MaxInt64)
}

func (p *logPane) nextStream(m *Model) tea.Cmd {
	p.abandon()
	p.stream = map[string]string{"": "stdout", "stdout": "stderr", "stderr": ""}[p.stream]
	around := int64(math.MaxInt64)
	if !p.follow && p.top < len(p.window.lines) {
		around = p.window.lines[p.top].offset
	}
	return tea.Batch(p.jump(m, around), p.recount(m))
}

// move scrolls by rows; only going to the end means following again.
func (p *logPane) move(m *Model, by motion) tea.Cmd {
	h := m.body()
	if p.follow {
		p.bottom(m)
	}
	if by.ends != 0 {
		p.abandon()
	}
	switch {
	case by.ends < 0:
		p.follow = false
		p.hush()
		if p.window.from > 0 || p.awaited != nil {
			return p.jump(m, 0)
		}
		p.top, p.sub = 0, 0
	case by.ends > 0:
		p.follow = true
		if p.awaited != nil || p.tail == nil && !p.complete() {
			return p.jump(m, math.MaxInt64)
		}
		p.bottom(m)
		return nil
	case by.sideways != 0:
		p.side = max(0, min(p.side+8*by.sideways, maxLine))
		return nil
	}
	rows := by.lines + by.pages*max(1, h/2)
	for ; rows > 0 && !p.atEnd(m); rows-- {
		p.down(m)
	}
	if rows < 0 {
		p.follow = false
		p.hush()
	}
	for ; rows < 0; rows++ {
		p.up(m)
	}
	p.hold(m)
	return tea.Batch(p.reach(m), p.onward(m))
}

func (p *logPane) down(m *Model) {
	if p.sub+1 < p.rowsOf(m, p.top) {
		p.sub++
	} else if p.top+1 < len(p.window.lines) {
		p.top, p.sub = p.top+1, 0
	}
}

func (p *logPane) up(m *Model) {
	if p.sub > 0 {
		p.sub--
	} else if p.top > 0 {
		p.top--
		p.sub = p.rowsOf(m, p.top) - 1
	}
}

// rowsOf is how many rows of the screen a line takes.
func (p *logPane) rowsOf(m *Model, i int) int {
	if !p.wrapped || i < 0 || i >= len(p.window.lines) {
		return 1
	}
	w := p.room(m)
	return len(rows(safeLine([]byte(p.window.lines[i].text)), w, w, false))
}

// room is how many cells the text of a line has.
func (p *logPane) room(m *Model) int {
	w := m.width - 2
	if p.stamps {
		w -= 13
	}
	return max(10, w)
}

// bottom shows the last line at the bottom.
func (p *logPane) bottom(m *Model) {
	p.top, p.sub = max(0, len(p.window.lines)-1), 0
	if len(p.window.lines) == 0 {
		return
	}
	p.sub = p.rowsOf(m, p.top) - 1
	for range m.body() - 1 {
		p.up(m)
	}
}

// settled is the pane with the log's end in view if it follows: a line that is typed or a message
// below takes away some of its height, and must not cover the newest lines.
func (p *logPane) settled(m *Model) *logPane {
	if !p.follow {
		return p
	}
	q := *p
	q.bottom(m)
	return &q
}

// atEnd tells whether the last row of the window is on the screen.
func (p *logPane) atEnd(m *Model) bool {
	rows := -p.sub
	for i := p.top; i < len(p.window.lines); i++ {
		if rows += p.rowsOf(m, i); rows > m.body() {
			return false
		}
	}
	return true
}

// hold keeps the screen within the window.
func (p *logPane) hold(m *Model) {
	p.top = max(0, min(p.top, len(p.window.lines)-1))
	p.sub = max(0, min(p.sub, p.rowsOf(m, p.top)-1))
	if !p.wrapped {
		p.top = max(0, min(p.top, len(p.window.lines)-m.body()))
	}
}

func (p *logPane) click(*Model, int) tea.Cmd { return nil }

func (p *logPane) clear(*Model) (bool, tea.Cmd) { //nolint:unparam // as the other panes, one of which has something to do
	if p.search.text == "" && p.jumped.target < 0 && p.jumped.stop == nil {
		return false, nil
	}
	p.forget()
	return true, nil
}

// status says where in the log the screen is.
func (p *logPane) status(m *Model) string {
	t := &m.theme
	p = p.settled(m)
	mode := t.dim
	text := "stands still"
	switch {
	case p.awaited != nil && m.host(p.of.Host).lost():
		text, mode = "waits for "+p.of.Host, t.warn
	case !p.loaded:
		text = "reading…"
	case p.broken:
		text, mode = "no longer followed", t.warn
	case p.ended && p.follow:
		text, mode = "complete", t.good
	case p.follow:
		text, mode = "following", t.busy
	case p.ended:
		text = "complete"
	}
	where := ""
	if n := len(p.window.lines); n > 0 {
		at := p.window.lines[min(n-1, p.top+m.body()-1)].end
		where = fmt.Sprintf(" · %s of %s, %s", human.Size(at), human.Size(p.size), percent(at, p.size))
		if !p.ended && p.tail == nil { // there may be more than was heard of
			where = fmt.Sprintf(" · %s of %s so far", human.Size(at), human.Size(p.size))
		}
	}
	streams := map[string]string{"": "", "stdout": " · only stdout", "stderr": " · only stderr"}[p.stream]
	if p.wrapped {
		streams += " · wrapped"
	}
	return mode.paint(text) + t.dim.paint(fit(where+streams+p.searchStatus(), m.width-2-width(text)))
}

func (p *logPane) lines(m *Model, w, h int) []string {
	t := &m.theme
	p = p.settled(m)
	switch {
	case p.trouble != "":
		return []string{"", "  " + t.failure.paint(fit("unable to show it: "+p.trouble, w-4))}
	case !p.loaded && m.host(p.of.Host).lost():
		return []string{"", "  " + fit("it is read when "+p.of.Host+" is back", w-4)}
	case !p.loaded:
		return []string{"", "  reading…"}
	case len(p.window.lines) == 0 && p.ended && p.stream == "":
		return []string{"", "  the log is empty"}
	case len(p.window.lines) == 0:
		if r := m.jobs.find(p.of); r != nil && r.WaitsFor != "" {
			return []string{"", "  " + fit("nothing yet: the job waits for "+clean(r.WaitsFor), w-4)}
		}
		return []string{"", "  nothing yet"}
	}
	var out []string
	skip := p.sub
	for i := p.top; i < len(p.window.lines) && len(out) < h; i++ {
		all := p.draw(m, &p.window.lines[i], w)
		out = append(out, all[min(skip, len(all)):]...)
		skip = 0
	}
	return out[:min(len(out), h)]
}

// draw is a line of the log as rows of the screen.
func (p *logPane) draw(m *Model, l *logLine, w int) []string {
	t := &m.theme
	gutter := "  "
	switch {
	case p.jumped.target >= l.offset && p.jumped.target < l.end:
		gutter = t.found.paint("▸") + " "
	case l.stream == api.Stderr && p.stream == "":
		gutter = t.stderr.paint("▌") + " "
	}
	if p.stamps {
		gutter += t.dim.paint(stampText(l.time, m.now.Location())) + " "
	}
	room := p.room(m)
	text := safeLine([]byte(l.text))
	if !p.wrapped {
		return []string{gutter + p.search.paint(t, cut(text, p.side, room, t.colour))}
	}
	all := rows(text, room, room, t.colour)
	for i, row := range all {
		all[i] = gutter + p.search.paint(t, row)
		gutter = spaces(w - room)
	}
	return all
}

// paint marks what the search is about; the row's own colours stay.
func (s *logSearch) paint(t *theme, row string) string {
	if s.text == "" {
		return row
	}
	text := bare(row)
	in := text
	if lowered(s.text) == s.text {
		in = lowered(text)
	}
	if !strings.Contains(in, s.text) {
		return row
	}
	var b strings.Builder
	w := coloured{row: row}
	for {
		i := strings.Index(in, s.text)
		if i < 0 {
			break
		}
		b.WriteString(w.take(i, true))
		b.WriteString(t.found.paint(w.take(len(s.text), false)))
		b.WriteString(w.colours)
		in = in[i+len(s.text):]
	}
	return b.String() + w.row
}

// coloured is a row that is taken apart, with the colours that hold where it begins now.
type coloured struct{ row, colours string }

// take returns the next n bytes of the text, with the colours among them or without.
func (c *coloured) take(n int, colours bool) string {
	var b strings.Builder
	for c.row != "" && (n > 0 || colours && sgrLength(c.row) > 0) {
		piece := c.row[:1]
		if length := sgrLength(c.row); length > 0 {
			if piece = c.row[:length]; piece == "\x1b[0m" || piece == "\x1b[m" {
				c.colours = ""
			} else {
				c.colours += piece
			}
		} else {
			n--
		}
		if c.row = c.row[len(piece):]; colours || piece[0] != 0x1b {
			b.WriteString(piece)
		}
	}
	return b.String()
}

// lowered makes the letters of ASCII small, as the host does that searches.
func lowered(text string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r | 0x20
		}
		return r
	}, text)
}
