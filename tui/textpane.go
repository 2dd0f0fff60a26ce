package tui

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

// textPane shows text that is read once: a file, a report, a comparison.
type textPane struct {
	of      Ref
	name    string
	says    string // of what is shown
	problem string
	source  []styled             // nil: it is on its way
	layout  func(w int) []styled // makes the source for a screen of w cells; nil: it is the same on each
	rows    []styled
	w       int // that the rows are for
	wrapped bool
	read    func(ctx context.Context) textMsg // nil: it was there at once
	offer   *offer
	lifetime
	scrollPane
}

// newText returns a place for text that is on its way.
func newText(ctx context.Context, of Ref, name, says string) *textPane {
	return &textPane{of: of, name: name, says: says, lifetime: live(ctx)}
}

// show opens a place for what read brings.
func (m *Model) show(p *textPane, read func(ctx context.Context) textMsg) tea.Cmd {
	p.read = read
	m.push(p)
	return p.ask()
}

func (p *textPane) ask() tea.Cmd {
	return func() tea.Msg {
		msg := p.read(p.ctx)
		msg.pane = p
		return msg
	}
}

// styled is a line and what it means.
type styled struct {
	text  string
	ink   func(t *theme) ink
	hang  int  // cells that its further rows are moved to the right where it is wrapped
	words bool // it is wrapped between words
}

// offer is something to be done about what is shown.
type offer struct {
	says string
	do   func(m *Model) tea.Cmd
}

// textMsg is what a textPane waits for.
type textMsg struct {
	pane   *textPane
	lines  []styled
	layout func(w int) []styled // instead of lines, where they depend on the width
	says   string
	err    error
	offer  *offer // may be nil
}

func (p *textPane) ref() Ref { return p.of }

func (p *textPane) place() place { return inText }

func (p *textPane) title(*Model) string { return p.name }

func (p *textPane) click(*Model, int) tea.Cmd { return nil }

func (p *textPane) take(m *Model, msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case textMsg:
		if msg.pane == p {
			p.fill(m, msg)
		}
	case newsMsg:
		if p.problem != "" && msg.host == p.of.Host && msg.event.First { // it could not be read while the host was away
			p.problem = ""
			return p.ask()
		}
	}
	return nil
}

func (p *textPane) fill(m *Model, msg textMsg) {
	if msg.err != nil {
		p.problem = problemOf(msg.err)
		return
	}
	p.source, p.layout, p.offer = msg.lines, msg.layout, msg.offer
	if msg.says != "" {
		p.says = msg.says
	}
	if p.source == nil {
		p.source = []styled{}
	}
	p.rewrap(m.width)
}

func (p *textPane) status(m *Model) string {
	return m.theme.dim.paint(fit(p.says, m.width-2))
}

func (p *textPane) move(m *Model, by motion) tea.Cmd {
	if p.w != m.width {
		p.rewrap(m.width)
	}
	p.moveBy(by, m.body())
	return nil
}

// rewrap makes rows of the lines, for a screen of w cells.
func (p *textPane) rewrap(w int) {
	if p.layout != nil {
		p.source = p.layout(w - 2)
	}
	p.rows, p.w = p.source, w
	if p.wrapped {
		p.rows = nil
		for _, line := range p.source {
			p.rows = append(p.rows, line.wrap(w-2)...)
		}
	}
	p.count = len(p.rows)
}

// wrap breaks a line into rows of w cells.
func (l styled) wrap(w int) []styled {
	hang := min(l.hang, w/2)
	var all []styled
	if l.words {
		for _, text := range wrapUpTo(l.text, w, keptText) {
			all = append(all, styled{text: text, ink: l.ink})
		}
		return all
	}
	for i, text := range rows(l.text, w, w-hang, true) {
		if i > 0 {
			text = spaces(hang) + text
		}
		all = append(all, styled{text: text, ink: l.ink})
	}
	return all
}

func (p *textPane) lines(m *Model, w, h int) []string {
	t := &m.theme
	switch {
	case p.problem != "":
		lines := []string{""}
		for _, text := range wrap(p.problem, w-4) {
			lines = append(lines, "  "+t.failure.paint(text))
		}
		return lines
	case p.source == nil:
		return []string{"", "  reading…"}
	}
	var lines []string
	for i := max(0, min(p.first, len(p.rows)-h)); i < len(p.rows) && len(lines) < h; i++ {
		row := cut(p.rows[i].text, p.side, w-2, t.colour)
		if !p.wrapped && width(cut(p.rows[i].text, p.side, w, false)) > w-2 { // there is more to the right
			row = cut(p.rows[i].text, p.side, w-3, t.colour) + "…"
		}
		if paint := p.rows[i].ink; paint != nil {
			row = paint(t).paint(bare(row))
		}
		lines = append(lines, " "+row)
	}
	return lines
}

// mostPeek is how much of a file is shown.
const mostPeek = 512 << 10

// openArtifact shows a file, or opens or shuts a directory.
func (m *Model) openArtifact() tea.Cmd {
	p, ok := m.top().(*artifactsPane)
	if !ok || p.current() == nil || p.current().gone != "" {
		return nil
	}
	n := *p.current()
	if n.dir {
		p.folded[n.path] = !p.folded[n.path]
		p.plant()
		return nil
	}
	if n.a.Path == "log" {
		return m.openLog()
	}
	client, of, a := m.client, p.of, n.a
	return m.show(newText(m.ctx, of, n.path, "reading…"), func(ctx context.Context) textMsg {
		data, err := client.Peek(ctx, of, a, mostPeek)
		if err != nil {
			return textMsg{err: err}
		}
		lines, kind := preview(data)
		says := fmt.Sprintf("%s · %s · %s · %s", a.Kind, human.Size(a.Size), kind, a.Digest)
		if int64(len(data)) < a.Size {
			says = fmt.Sprintf("the first %s of %s · %s · cyclops cp %s:%s DEST brings all", human.Size(int64(len(data))), human.Size(a.Size), kind, of, a.Name)
		}
		return textMsg{lines: lines, says: says}
	})
}

// preview shows text as text and everything else in hexadecimal.
func preview(data []byte) (lines []styled, kind string) {
	if isText(data) {
		for line := range strings.Lines(string(data)) {
			lines = append(lines, styled{text: safeLine([]byte(strings.TrimSuffix(line, "\n")))})
		}
		return lines, "text"
	}
	const hexLines = 8192
	shown := data[:min(len(data), 16*hexLines)]
	for line := range strings.Lines(hex.Dump(shown)) {
		lines = append(lines, styled{text: strings.TrimSuffix(line, "\n")})
	}
	return lines, "binary"
}

// isText tells text from what no one reads: a NUL, or bytes that are no UTF-8.
func isText(data []byte) bool {
	head := data[:min(len(data), 8<<10)]
	for i := 0; i < len(head); {
		r, n := utf8.DecodeRune(head[i:])
		if r == 0 || r == utf8.RuneError && n == 1 && i+utf8.UTFMax < len(head) {
			return false
		}
		i += n
	}
	return true
}
