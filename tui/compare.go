package tui

import (
	"context"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

// compareJobs compares the manifests of two jobs.
func (m *Model) compareJobs() tea.Cmd {
	rows := m.chosen()
	switch {
	case len(rows) == 1 && rows[0].State.Ended():
		return m.comparePrevious(rows[0])
	case len(rows) != 2 || !rows[0].State.Ended() || !rows[1].State.Ended():
		m.say(notice{text: "mark two jobs that have ended, or choose one that has an earlier one of its name", bad: true})
		return nil
	case rows[0].Accepted.After(rows[1].Accepted):
		rows[0], rows[1] = rows[1], rows[0]
	}
	return m.openCompare(rows[0], rows[1])
}

// previousMsg is the job before another of its name, or nil.
type previousMsg struct {
	of, previous *row
	err          error
}

// comparePrevious compares a job with the one before it of the same name and project, which may be
// anywhere in its host's history.
func (m *Model) comparePrevious(r *row) tea.Cmd {
	if r.Name == "" {
		return m.takePrevious(previousMsg{of: r})
	}
	ctx, client := m.ctx, m.client
	return func() tea.Msg {
		for before := r.Seq; ; {
			page, err := client.Jobs(ctx, r.host, Ask{Query: Query{Name: match{text: r.Name}, Project: match{text: r.Project}}, Before: before, Limit: pageSize})
			for i := range page.Jobs {
				if j := &page.Jobs[i]; j.State.Ended() && j.Name == r.Name && j.Project == r.Project {
					return previousMsg{of: r, previous: &row{r.host, *j}}
				}
			}
			if err != nil || page.Cursor == "" || len(page.Jobs) == 0 {
				return previousMsg{of: r, err: err}
			}
			before = page.Jobs[len(page.Jobs)-1].Seq
		}
	}
}

func (m *Model) takePrevious(msg previousMsg) tea.Cmd {
	switch {
	case msg.err != nil:
		m.complain("the job before "+called(msg.of), msg.err)
		return nil
	case msg.previous == nil:
		m.say(notice{text: "there is no earlier job of its name that has ended: mark two", bad: true})
		return nil
	}
	return m.openCompare(msg.previous, msg.of)
}

// openCompare shows what appeared, vanished and changed between two manifests.
func (m *Model) openCompare(a, b *row) tea.Cmd {
	client, first, second := m.client, a.ref(), b.ref()
	view := newText(m.ctx, second, "compare", "cyclops manifest diff "+first.String()+" "+second.String())
	return m.show(view, func(ctx context.Context) textMsg {
		one, err := client.Record(ctx, first)
		if err != nil {
			return textMsg{err: err}
		}
		two, err := client.Record(ctx, second)
		if err != nil {
			return textMsg{err: err}
		}
		d := manifest.Compare(one.Manifest, two.Manifest)
		return textMsg{layout: func(w int) []styled { return compared(first.ID, second.ID, &d, w) }}
	})
}

// sides are two jobs side by side: what a line is about, and what each of them has of it.
type sides struct {
	name, cell int // widths
	lines      []styled
}

// compared is a comparison in lines of w cells.
func compared(old, latest string, d *manifest.Difference, w int) []styled {
	s := &sides{name: nameWidth(d, w)}
	s.cell = min(40, (w-s.name-4)/2)
	head := func(t *theme) ink { return t.head }
	s.add("", old, latest, head)
	for _, f := range d.Fields {
		var paint func(t *theme) ink
		if f.Old != f.New {
			paint = func(t *theme) ink { return t.differ }
		}
		s.add(f.Name, f.Old, f.New, paint)
	}
	s.section("appeared", "+", d.Appeared, func(t *theme) ink { return t.added })
	s.section("vanished", "-", d.Vanished, func(t *theme) ink { return t.removed })
	s.section("changed", "~", d.Changed, func(t *theme) ink { return t.differ })
	return append(s.lines, styled{}, styled{text: sameFiles(d.Same), ink: func(t *theme) ink { return t.dim }})
}

// nameWidth is how much of w cells the longest name takes, up to what leaves enough to both sides.
func nameWidth(d *manifest.Difference, w int) int {
	longest := 11 // of the fields
	for _, all := range [][]manifest.Change{d.Appeared, d.Vanished, d.Changed} {
		for _, c := range all {
			longest = max(longest, 2+width(clean(c.Name)))
		}
	}
	return min(longest, max(11, w/3))
}

func (s *sides) add(name, old, latest string, paint func(t *theme) ink) {
	text := fit(name, s.name) + "  " + fit(dash(old), s.cell) + "  " + fit(dash(latest), s.cell)
	if name == "" {
		text = fit("", s.name) + "  " + fit(old, s.cell) + "  " + fit(latest, s.cell)
	}
	s.lines = append(s.lines, styled{text: strings.TrimRight(text, " "), ink: paint})
}

func (s *sides) section(head, sign string, changes []manifest.Change, paint func(t *theme) ink) {
	if len(changes) == 0 {
		return
	}
	s.lines = append(s.lines, styled{}, styled{text: fmt.Sprintf("%s (%d)", head, len(changes)), ink: func(t *theme) ink { return t.head }})
	for _, c := range changes {
		s.add(sign+" "+tail(clean(c.Name), s.name-2), s.file(c.Old, c.New), s.file(c.New, c.Old), paint)
	}
}

// file is what one side has of a file; where its size and digest are those of the other, what else is not.
func (s *sides) file(a, other *manifest.Artifact) string {
	switch {
	case a == nil:
		return ""
	case a.Kind == manifest.KindSymlink:
		return "→ " + a.Target
	}
	text := fitRight(human.Size(a.Size), 9) + "  " + a.Digest.Short()
	if other != nil && other.Mode != a.Mode {
		text += fmt.Sprintf("  %03o", a.Mode)
	}
	return text
}

// tail is text in w cells, its beginning cut: paths differ at their ends.
func tail(text string, w int) string {
	if n := width(text); n > w {
		return "…" + cut(text, n-w+1, w-1, false)
	}
	return text
}

func sameFiles(n int) string {
	if n == 1 {
		return "1 file is the same"
	}
	return counted(n, "file") + " are the same"
}
