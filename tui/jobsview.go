package tui

import (
	"fmt"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

// cell is a column of the table: its heading, its width and what it says of a job.
type cell struct {
	head  string
	width int
	text  func(r *row, now time.Time) string
	ink   func(t *theme, r *row) ink
	right bool
}

// cells are the columns that a screen of a width has room for. The last takes what is left.
func cells(w int, hosts bool) []cell {
	all := []cell{
		{head: "STATE", width: 14, text: func(r *row, _ time.Time) string { return stateText(&r.JobInfo) }, ink: func(t *theme, r *row) ink { return t.state(r.State) }},
		{head: "NAME", width: 14, text: func(r *row, _ time.Time) string { return dash(r.Name) }},
	}
	if w < 80 {
		all[1].width = 11
	}
	if hosts {
		all = append(all, cell{head: "HOST", width: 8, text: func(r *row, _ time.Time) string { return r.host }})
	}
	if w >= 96 {
		all = append(all, cell{head: "PROJECT", width: 10, text: func(r *row, _ time.Time) string { return dash(r.Project) }})
	}
	if w >= 110 {
		all = append(all, cell{head: "OWNER", width: 8, text: func(r *row, _ time.Time) string { return dash(r.Owner) }})
	}
	if w >= 128 {
		all = append(all, cell{head: "STEP", width: 12, text: func(r *row, _ time.Time) string { return stepText(&r.JobInfo) }})
	}
	all = append(all,
		cell{head: "AGE", width: 4, right: true, text: func(r *row, now time.Time) string { return human.Age(now.Sub(r.Accepted)) }},
		cell{head: "TIME", width: 6, right: true, text: func(r *row, now time.Time) string { return span(r.Started, r.Ended, now) }})
	left := w - 3
	for _, c := range all {
		left -= c.width + 1
	}
	return append(all, cell{head: "WHAT", width: max(6, left), text: func(r *row, _ time.Time) string { return whatText(&r.JobInfo, w < 128) }})
}

// title says how the table stands.
func (p *jobsPane) status(m *Model) string {
	text := ""
	switch {
	case p.wrong != "":
		return m.theme.problem.paint(fit("filter: "+p.wrong, m.width-2))
	case p.query.Source != "":
		text = "filter: " + p.query.Source + " · "
	}
	running, waiting := 0, 0
	for _, r := range p.live {
		if r.State == manifest.Queued {
			waiting++
		} else {
			running++
		}
	}
	text += fmt.Sprintf("%d running, %d waiting · %s", running, waiting, p.extent())
	if p.sort != byDefault || p.reverse {
		arrow := "↓"
		if p.reverse {
			arrow = "↑"
		}
		text += " · by " + columnNames[p.sort] + arrow
	}
	if p.group != ungrouped {
		text += " · grouped by " + groupNames[p.group]
	}
	if n := len(p.marked); n > 0 {
		text += fmt.Sprintf(" · %d marked", n)
	}
	if p.search != "" {
		text += " · /" + p.search
	}
	return m.theme.dim.paint(fit(text, m.width-2))
}

// extent says how many jobs are in the table, and that there are more.
func (p *jobsPane) extent() string {
	n := 0
	for _, l := range p.view {
		if l.row != nil {
			n++
		}
	}
	text := fmt.Sprintf("%d shown", n)
	if p.history.loading() {
		return text + ", reading…"
	}
	switch {
	case p.history.more(toNewer):
		return text + " of more; g: the newest"
	case p.history.more(toOlder):
		return text + " of more"
	}
	return text
}

func (p *jobsPane) lines(m *Model, w, h int) []string {
	if len(p.view) == 0 {
		return p.empty(m, w)
	}
	columns := cells(w, len(m.hosts) > 1)
	lines := []string{m.theme.head.paint(p.heading(columns, w))}
	for i := p.scroll(h - 1); i < len(p.view) && len(lines) < h; i++ {
		lines = append(lines, p.line(m, columns, i, w))
	}
	return lines
}

// scroll returns the first line on a screen of h lines, so that the cursor is on it.
func (p *jobsPane) scroll(h int) int { return scrolled(p.top, p.cursor, len(p.view), h) }

// scrolled moves a window of h lines over n as little as it takes to hold the cursor.
func scrolled(top, cursor, n, h int) int {
	top = min(max(top, cursor-h+1), cursor)
	return max(0, min(top, n-h))
}

func (p *jobsPane) heading(columns []cell, w int) string {
	text := "  "
	for _, c := range columns {
		if c.right {
			text += fitRight(c.head, c.width) + " "
		} else {
			text += fit(c.head, c.width) + " "
		}
	}
	return fit(text, w)
}

func (p *jobsPane) line(m *Model, columns []cell, i, w int) string {
	l := p.view[i]
	if l.row == nil {
		return m.theme.strong.paint(fit(fmt.Sprintf(" %s (%d)", l.head, l.count), w))
	}
	r, t := l.row, &m.theme
	ref := r.ref()
	lost := m.host(r.host).lost()
	mark := " "
	switch {
	case p.marked[ref]:
		mark = "●"
	case p.watched[ref]:
		mark = "◷"
	case r.Pinned:
		mark = "■"
	}
	selected := i == p.cursor
	text := " " + mark
	if !selected && p.marked[ref] {
		text = " " + t.marked.paint(mark)
	}
	for _, c := range columns {
		piece := c.text(r, m.now)
		if c.right {
			piece = fitRight(piece, c.width)
		} else {
			piece = fit(piece, c.width)
		}
		if c.ink != nil && !selected && !lost {
			piece = c.ink(t, r).paint(piece)
		}
		text += piece + " "
	}
	switch {
	case selected:
		return t.selected.paint(fit(text, w))
	case lost:
		return t.dim.paint(fit(bare(text), w))
	}
	return text
}

// empty says why there is nothing, and what to do.
func (p *jobsPane) empty(m *Model, w int) []string {
	switch {
	case p.history.loading() || m.connecting():
		return []string{"", "  asking " + m.hostNames() + "…"}
	case p.query.Source != "":
		return []string{"", "  no job is " + clean(p.query.Source), "", "  esc shows all, f changes the filter"}
	case m.allLost():
		lines := []string{"", "  no host answers:", ""}
		for _, h := range m.hosts {
			for i, text := range wrap(h.Name+": "+h.problem, w-6) {
				if i == 0 {
					text = "• " + text
				} else {
					text = "  " + text
				}
				lines = append(lines, "  "+m.theme.failure.paint(text))
			}
		}
		return append(lines, "", "  2 shows the hosts, where i installs an executor and d looks for what is wrong")
	}
	return m.firstSteps(w)
}

// stateText is the state and what else fits into a word or two.
func stateText(j *api.JobInfo) string {
	detail := ""
	switch {
	case j.State == manifest.Queued && j.Position > 0:
		detail = fmt.Sprintf(" #%d", j.Position)
	case j.State == manifest.Running && len(j.Steps) > 1:
		detail = fmt.Sprintf(" %d/%d", j.Step+1, len(j.Steps))
	case j.State == manifest.Failed && j.Signal != "":
		detail = " " + j.Signal
	case j.State == manifest.Failed && j.ExitCode != nil:
		detail = fmt.Sprintf(" (%d)", *j.ExitCode)
	}
	return string(j.State) + detail
}

// stepText names what runs.
func stepText(j *api.JobInfo) string {
	switch {
	case j.State != manifest.Running:
		return ""
	case j.Phase != "" && j.Phase != api.PhaseRunning:
		return j.Phase
	case j.Step < len(j.Steps):
		return j.Steps[j.Step].Name
	}
	return ""
}

// whatText is what one wants to know of a job at a glance: what it waits for, why it ended so, else what it runs.
func whatText(j *api.JobInfo, step bool) string {
	switch {
	case j.State == manifest.Queued && j.WaitsFor != "":
		return "waits for " + j.WaitsFor
	case j.Reason != "" && j.State != manifest.Succeeded && j.State != manifest.Failed:
		return j.Reason
	}
	if now := stepText(j); step && now != "" {
		return now + ": " + j.Command
	}
	return j.Command
}

func span(from, to *time.Time, now time.Time) string {
	switch {
	case from == nil:
		return "-"
	case to == nil:
		return human.Duration(now.Sub(*from))
	}
	return human.Duration(to.Sub(*from))
}
