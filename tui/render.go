package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// The smallest screen that everything fits on.
const (
	minWidth  = 60
	minHeight = 15
)

// View shows the model on the terminal's second screen, so that leaving brings back the first.
func (m *Model) View() tea.View {
	v := tea.NewView(m.render())
	v.AltScreen = true
	return v
}

// body is how many lines a view has between the title and the two lines at the bottom.
func (m *Model) body() int { return max(1, m.height-4) }

func (m *Model) render() string {
	if m.width == 0 {
		return ""
	}
	if m.width < minWidth || m.height < minHeight {
		return fit(fmt.Sprintf("too small: %d×%d at least", minWidth, minHeight), m.width)
	}
	lines := []string{paint(m.theme.title, fit(" "+m.title(), m.width)), ""}
	lines = append(lines, m.content()...)
	for len(lines) < m.height-2 {
		lines = append(lines, "")
	}
	lines = append(lines[:m.height-2], m.message(), paint(m.theme.dim, fit(" "+m.hints(), m.width)))
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}

func (m *Model) title() string {
	switch {
	case m.help:
		return "cyclops · keys"
	case m.view == jobView:
		return "cyclops · " + m.client.Host() + " · job " + m.selected
	case m.view == logView:
		return "cyclops · " + m.client.Host() + " · " + m.log.title(m.body())
	}
	text := fmt.Sprintf("cyclops · %s · %d jobs", m.client.Host(), len(m.jobs))
	if m.filter != "" {
		text += fmt.Sprintf(", %d with %q", len(m.shown()), m.filter)
	}
	if m.problem != "" && m.loaded {
		text += " · as last seen"
	}
	return text
}

func (m *Model) content() []string {
	switch {
	case m.help:
		return helpLines()
	case m.view == jobView:
		lines := m.recordLines()
		return lines[min(m.scroll, max(0, len(lines)-m.body())):]
	case m.view == logView:
		return m.logLines(m.body())
	}
	return m.jobLines(m.body())
}

// message is the one line that asks, complains or reports, the most urgent first.
func (m *Model) message() string {
	switch {
	case m.question != nil:
		return paint(m.theme.problem, fit(" "+m.question.text, m.width))
	case m.typing:
		return fit(" /"+m.filter+"▏", m.width)
	case m.notice != "" && m.failed:
		return paint(m.theme.problem, fit(" "+m.notice, m.width))
	case m.notice != "":
		return fit(" "+m.notice, m.width)
	case m.problem != "" && (m.loaded || m.view != jobsView):
		return paint(m.theme.problem, fit(" "+m.problem, m.width))
	}
	return ""
}

func (m *Model) hints() string {
	switch {
	case m.help:
		return "any key goes back"
	case m.typing:
		return "enter keeps the filter  esc drops it"
	case m.view == jobView:
		return "enter log  c cancel  r retry  x delete  ? help  q back"
	case m.view == logView:
		return "f follow  g/G ends  h/l sideways  c cancel  ? help  q back"
	}
	return "enter open  / find  c cancel  r retry  x rm  ? help  q quit"
}

func helpLines() []string {
	return []string{
		" j k ↓ ↑        down, up; pgdn pgup by pages; g G ends",
		" enter l →      open the job, then its log",
		" q esc h ←      back; q leaves; esc dismisses a message",
		" /              show only jobs with this in them",
		" c              cancel the job      cyclops cancel JOB",
		" r              run it again        cyclops retry JOB",
		" x              delete it           cyclops rm JOB",
		" in the log: f follows or stands still, h l move sideways",
		" ctrl+c         leave; jobs go on",
	}
}
