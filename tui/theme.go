package tui

import "github.com/cyclops-fpga/cyclops/manifest"

// theme holds the SGR parameters of what the screen means; an empty one changes nothing.
type theme struct {
	colour                         bool
	good, bad, busy, warn, dim     string
	title, selected, head, problem string
}

// newTheme uses the terminal's own palette. On a light background yellow and cyan cannot be read.
func newTheme(colour, dark bool) theme {
	t := theme{colour: colour, title: "1", selected: "7", head: "1", problem: "1"}
	if !colour {
		return t
	}
	t.good, t.bad, t.busy, t.warn, t.dim, t.problem = "32", "31", "36", "33", "2", "1;31"
	if !dark {
		t.busy, t.warn, t.dim = "34", "35", "90"
	}
	return t
}

func paint(sgr, text string) string {
	if sgr == "" || text == "" {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

func (t theme) state(s manifest.State) string {
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
