package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

func (m *Model) jobsKey(key string) tea.Cmd {
	switch key {
	case "q":
		return tea.Quit
	case "esc":
		m.filter = ""
	case "/":
		m.typing = true
	case "enter", "l", "right":
		return m.openJob()
	case "c", "r", "x":
		return m.action(key)
	default:
		m.move(key)
	}
	m.choose()
	return nil
}

func (m *Model) move(key string) {
	shown := m.shown()
	if len(shown) == 0 {
		return
	}
	i := m.index(shown) + step(key, m.body()-1, len(shown))
	m.selected = shown[min(max(i, 0), len(shown)-1)].ID
}

// step is how far a key moves in a list of n lines, page of which are on the screen.
func step(key string, page, n int) int {
	switch key {
	case "j", "down":
		return 1
	case "k", "up":
		return -1
	case "g", "home":
		return -n
	case "G", "end":
		return n
	case "pgdown", "ctrl+d", "space":
		return page
	case "pgup", "ctrl+u":
		return -page
	}
	return 0
}

// shown are the jobs that the filter lets through.
func (m *Model) shown() []api.JobInfo {
	want := strings.ToLower(m.filter)
	var shown []api.JobInfo
	for _, j := range m.jobs {
		text := strings.Join([]string{j.ID, string(j.State), j.Name, j.Project, j.Owner, j.Command}, "\n")
		if strings.Contains(strings.ToLower(text), want) {
			shown = append(shown, j)
		}
	}
	return shown
}

func (m *Model) index(shown []api.JobInfo) int {
	return max(0, slices.IndexFunc(shown, func(j api.JobInfo) bool { return j.ID == m.selected }))
}

// choose keeps the choice among the jobs that are shown, while the table is what is shown.
func (m *Model) choose() {
	if shown := m.shown(); m.view == jobsView && len(shown) > 0 {
		m.selected = shown[m.index(shown)].ID
	} else if m.view == jobsView {
		m.selected = ""
	}
}

// jobLines renders the table: its head and as many jobs as there is room for.
func (m *Model) jobLines(height int) []string {
	shown := m.shown()
	switch {
	case !m.loaded && m.problem != "":
		return wrap(m.problem, m.width-2)
	case !m.loaded:
		return []string{"asking " + clean(m.client.Host()) + "…"}
	case len(m.jobs) == 0:
		return []string{"no jobs yet. Begin one with", "", "  cyclops run -- make"}
	case len(shown) == 0:
		return []string{fmt.Sprintf("no job has %q in it; esc shows all", clean(m.filter))}
	}
	lines := []string{paint(m.theme.head, m.row("STATE", "NAME", "PROJECT", "AGE", "TIME", "COMMAND", ""))}
	cursor := m.index(shown)
	top := max(0, min(cursor-(height-1)/2, len(shown)-(height-1)))
	for _, j := range shown[top:min(len(shown), top+height-1)] {
		lines = append(lines, m.jobRow(j))
	}
	return lines
}

func (m *Model) jobRow(j api.JobInfo) string {
	colour := m.theme.state(j.State)
	if j.ID == m.selected {
		return paint(m.theme.selected, m.row(stateText(j), dash(j.Name), dash(j.Project), human.Age(m.now.Sub(j.Accepted)), jobTime(j, m.now), j.Command, ""))
	}
	return m.row(stateText(j), dash(j.Name), dash(j.Project), human.Age(m.now.Sub(j.Accepted)), jobTime(j, m.now), j.Command, colour)
}

// row lays a job out; a narrow screen has no room for the project.
func (m *Model) row(state, name, project, age, took, command, colour string) string {
	text := " " + paint(colour, fit(state, 13)) + " "
	left := m.width - 15
	if m.width >= 80 {
		text += fit(name, 14) + " " + fit(project, 12) + " "
		left -= 28
	} else {
		text += fit(name, 10) + " "
		left -= 11
	}
	return text + fit(age, 4) + " " + fit(took, 7) + " " + fit(command, left-13)
}

func stateText(j api.JobInfo) string {
	switch {
	case j.State == manifest.Queued && j.Position > 0:
		return stateWord(j.State, fmt.Sprintf("(%d)", j.Position))
	case j.State == manifest.Running && len(j.Steps) > 1:
		return stateWord(j.State, fmt.Sprintf("%d/%d", j.Step+1, len(j.Steps)))
	case j.State == manifest.Failed && j.Signal != "":
		return stateWord(j.State, "("+j.Signal+")")
	case j.State == manifest.Failed && j.ExitCode != nil:
		return stateWord(j.State, fmt.Sprintf("(%d)", *j.ExitCode))
	}
	return string(j.State)
}

func jobTime(j api.JobInfo, now time.Time) string { return span(j.Started, j.Ended, now) }

func span(from, to *time.Time, now time.Time) string {
	switch {
	case from == nil:
		return "-"
	case to == nil:
		return human.Duration(now.Sub(*from))
	}
	return human.Duration(to.Sub(*from))
}
