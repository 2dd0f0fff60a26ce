package tui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// The smallest screen that everything fits on.
const (
	minWidth  = 60
	minHeight = 15
)

// What frames a pane: a bar and a line above, a line of hints below.
const frameLines = 3

// View shows the model on the terminal's second screen, so that leaving brings back the first.
func (m *Model) View() tea.View {
	text, cursor := m.render()
	v := tea.NewView(text)
	v.AltScreen = true
	v.MouseMode = tea.MouseModeCellMotion
	v.WindowTitle = "cyclops"
	v.Cursor = cursor
	return v
}

// body is how many lines a pane has.
func (m *Model) body() int { return max(1, m.height-frameLines-len(m.foot())) }

func (m *Model) render() (string, *tea.Cursor) {
	if m.width == 0 {
		return "", nil
	}
	if m.width < minWidth || m.height < minHeight {
		return fit(fmt.Sprintf("too small: %d×%d at least", minWidth, minHeight), m.width), nil
	}
	foot := m.foot()
	h := max(1, m.height-frameLines-len(foot))
	p := m.top()
	lines := append(make([]string, 0, m.height), m.bar(), " "+p.status(m))
	body := p.lines(m, m.width, h)
	if m.overlay != nil {
		body = m.overlay.over(m, body, m.width, h)
	}
	lines = append(lines, body[:min(len(body), h)]...)
	for len(lines) < m.height-1-len(foot) {
		lines = append(lines, "")
	}
	lines = append(append(lines, foot...), m.hints())
	cursor := (*tea.Cursor)(nil)
	if m.input != nil {
		text, column := m.input.render(&m.theme, m.width)
		lines[len(lines)-2] = text
		cursor = tea.NewCursor(min(column, m.width-1), m.height-2)
	}
	return strings.Join(lines, "\n"), cursor
}

// bar is the first line: where one is, and how the hosts stand.
func (m *Model) bar() string {
	t := &m.theme
	tab := func(name string, open bool) string {
		if open {
			return t.tabOpen.paint(name)
		}
		return t.tab.paint(name)
	}
	onHosts := m.stack[0].place() == inHosts
	left := " " + t.title.paint("cyclops") + " " + tab(" 1 Jobs ", !onHosts) + tab(" 2 Hosts ", onHosts)
	used := 1 + 7 + 1 + 8 + 9
	right := m.load()
	room := m.width - used - width(right) - 2
	path := ""
	for _, p := range m.stack[1:] {
		path += " › " + p.title(m)
	}
	if width(path) > room && len(m.stack) > 2 {
		path = " › … › " + m.top().title(m)
	}
	return left + t.strong.paint(fit(path, max(0, room))) + " " + t.dim.paint(right)
}

// load sums up all hosts in a few words.
func (m *Model) load() string {
	lost := 0
	for _, h := range m.hosts {
		if h.lost() {
			lost++
		}
	}
	text := counted(len(m.hosts), "host")
	if len(m.hosts) == 1 {
		text = m.hosts[0].Name
	}
	if lost > 0 {
		text += fmt.Sprintf(", %d lost", lost)
	}
	running := 0
	for _, r := range m.jobs.live {
		if r.State == manifest.Running {
			running++
		}
	}
	return fmt.Sprintf("%s · %d running", text, running)
}

// foot are the lines above the hints that ask, complain or report: the most urgent only.
func (m *Model) foot() []string {
	t := &m.theme
	switch {
	case m.question != nil:
		var lines []string
		for _, text := range wrapUpTo(m.question.text+" [y/N]", m.width-2, 4) {
			lines = append(lines, t.failure.paint(" "+text))
		}
		return append(lines, t.dim.paint(fit(" "+m.question.verb, m.width)))
	case m.input != nil:
		return []string{m.input.hint(t, m.width), ""}
	case len(m.working) > 0:
		return append(m.noticed(), m.workLine())
	}
	return m.noticed()
}

// noticed shows the newest notice for as long as it is not dismissed: what to do, whole, and of what
// is said as much as half of the screen takes.
func (m *Model) noticed() []string {
	if len(m.notices) == 0 {
		return nil
	}
	t, n := &m.theme, m.notices[len(m.notices)-1]
	paint, lines := t.success, []string{}
	if n.bad {
		paint = t.failure
	}
	if n.verb != "" {
		lines = append(lines, t.dim.paint(fit(" "+n.verb, m.width)))
	}
	hint := wrapUpTo(n.hint, m.width-4, 3)
	most := max(1, m.height/2-len(lines)-len(hint)-1)
	said := wrapLines(n.text, m.width-4, most+1)
	for _, text := range said[:min(most, len(said))] {
		lines = append(lines, paint.paint(" "+text))
	}
	for _, text := range hint {
		lines = append(lines, t.strong.paint(" → "+text))
	}
	var keys []string
	if n.bad {
		keys = append(keys, "esc dismisses it"+m.others())
	}
	if len(said) > most {
		keys = append(keys, "there is more of it: m shows all")
	}
	if len(keys) > 0 {
		lines = append(lines, t.dim.paint(" "+strings.Join(keys, "; ")))
	}
	return lines
}

// wrapLines breaks text that has lines of its own into at most so many.
func wrapLines(text string, w, most int) (all []string) {
	for line := range strings.Lines(text) {
		if len(all) >= most {
			break
		}
		all = append(all, wrapUpTo(strings.TrimSuffix(line, "\n"), w, most)...)
	}
	return all[:min(most, len(all))]
}

// hints are the keys that one wants here, as many as there is room for.
func (m *Model) hints() string {
	t, in := &m.theme, m.top().place()
	var pairs [][2]string
	switch {
	case m.question != nil:
		pairs = [][2]string{{"y", "yes"}, {"n", "no"}}
	case m.input != nil:
		pairs = [][2]string{{"enter", "accept"}, {"tab", "complete"}, {"esc", "drop"}}
	case m.overlay != nil:
		pairs = m.overlay.hints()
	default:
		for _, a := range m.table {
			if a.hint&in != 0 {
				pairs = append(pairs, [2]string{a.keys[0], a.name})
			}
		}
	}
	text, used := " ", 1
	last := len(pairs) - 1
	for i, p := range pairs {
		w := width(p[0]) + 1 + width(p[1]) + 2
		if i < last && used+w > m.width-12 && !slices.Contains([]string{"?", "q", "esc"}, p[0]) || used+w-2 > m.width {
			continue
		}
		text += t.key.paint(p[0]) + " " + t.dim.paint(p[1]) + "  "
		used += w
	}
	return strings.TrimRight(text, " ")
}

func (in *input) hint(t *theme, w int) string { return t.dim.paint(fit(" "+in.help, w)) }

func suggestionStyle(p colorprofile.Profile) lipgloss.Style {
	if p < colorprofile.ANSI {
		return lipgloss.NewStyle().Faint(true)
	}
	return lipgloss.NewStyle().Foreground(lipgloss.Color("8"))
}
