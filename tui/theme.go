package tui

import (
	"image/color"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// ink is a style as what it writes around a text: a table has hundreds of cells, and the way
// through lipgloss for each takes longer than a frame may.
type ink struct{ open, shut string }

func (i ink) paint(text string) string {
	if i.open == "" || text == "" {
		return text
	}
	return i.open + text + i.shut
}

// theme holds what the screen means, one style for each meaning.
type theme struct {
	colour bool

	title, tab, tabOpen    ink // the bar at the top
	head, key, dim, strong ink // headings, names of keys and fields, what can be overlooked, what counts
	good, bad, busy, warn  ink // how jobs and hosts stand
	selected, marked       ink // rows
	found, problem         ink // hits of a search, lines of a log that tell of trouble
	failure, success       ink // notices
	stderr                 ink
	added, removed, differ ink // two manifests side by side
}

// newTheme uses the terminal's own palette, so that it fits whatever the user chose; on a light
// background yellow and cyan cannot be read, and of 16 colours only reverse is sure to be seen.
func newTheme(profile colorprofile.Profile, dark bool) theme {
	t := theme{colour: profile >= colorprofile.ANSI}
	plain := lipgloss.NewStyle()
	bold, faint, reverse := plain.Bold(true), plain.Faint(true), plain.Reverse(true)
	if !t.colour {
		return t.without(bold, faint, reverse)
	}
	tint := func(onDark, onLight string) lipgloss.Style {
		return plain.Foreground(lipgloss.LightDark(dark)(lipgloss.Color(onLight), lipgloss.Color(onDark)))
	}
	t.good, t.bad = inkOf(tint("2", "2")), inkOf(tint("1", "1"))
	t.busy, t.warn = inkOf(tint("6", "4")), inkOf(tint("3", "5"))
	t.dim, t.strong, t.head = inkOf(tint("8", "8")), inkOf(bold), inkOf(tint("4", "4").Bold(true))
	if profile >= colorprofile.ANSI256 {
		t.dim = inkOf(tint("245", "242"))
	}
	t.title, t.tab = inkOf(tint("5", "5").Bold(true)), inkOf(plain)
	t.tabOpen, t.key = inkOf(reverse.Bold(true)), inkOf(tint("6", "4").Bold(true))
	t.selected, t.marked = inkOf(reverse), inkOf(tint("5", "5").Bold(true))
	if profile >= colorprofile.ANSI256 {
		t.selected = inkOf(plain.Background(pick(dark, "238", "252")).Foreground(pick(dark, "255", "16")))
	}
	t.found, t.problem = inkOf(tint("3", "5").Reverse(true)), inkOf(tint("1", "1").Bold(true))
	t.failure, t.success = inkOf(tint("1", "1").Bold(true)), inkOf(tint("2", "2"))
	t.stderr = inkOf(tint("3", "5"))
	t.added, t.removed, t.differ = t.good, t.bad, t.warn
	return t
}

// without is the theme of a terminal that shows no colours, or a user who wants none.
func (t theme) without(bold, faint, reverse lipgloss.Style) theme {
	t.title, t.tabOpen, t.head, t.key, t.strong = inkOf(bold), inkOf(reverse), inkOf(bold), inkOf(bold), inkOf(bold)
	t.dim, t.selected, t.marked = inkOf(faint), inkOf(reverse), inkOf(bold)
	t.found, t.problem, t.failure = inkOf(reverse), inkOf(bold), inkOf(bold)
	t.added, t.removed, t.differ = inkOf(bold), inkOf(faint), inkOf(bold)
	return t
}

func pick(dark bool, onDark, onLight string) color.Color {
	return lipgloss.LightDark(dark)(lipgloss.Color(onLight), lipgloss.Color(onDark))
}

func inkOf(s lipgloss.Style) ink {
	open, shut, _ := strings.Cut(s.Render("·"), "·")
	return ink{open, shut}
}

func (t *theme) state(s manifest.State) ink {
	switch s {
	case manifest.Succeeded:
		return t.good
	case manifest.Failed, manifest.TimedOut:
		return t.bad
	case manifest.Running:
		return t.busy
	}
	return t.warn
}
