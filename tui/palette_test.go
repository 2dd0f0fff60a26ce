package tui

import (
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
)

// The palette has every action from everywhere, and goes to where it is to be had.
func TestThePaletteHasEveryAction(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from  []string
		typed string
		want  string
	}{
		{[]string{"j", "j"}, "verify", "1 of 2 artifacts do not match the manifest"},
		{[]string{"j", "j"}, "next error", "WARNING: [Timing 38-282]"},
		{nil, "drain", "Drain lab?"},
		{[]string{"j", "j", "t"}, "copy digest", "only a file has a digest"},
		{[]string{"j", "j", "a"}, "doctor", "doctor lab"},
		{[]string{"2"}, "stderr", "only stdout"},
		{[]string{"2", "j", "d"}, "when each line", "log"},
		{[]string{"j", "j", "t"}, "group", "grouped by host"},
	} {
		m := begin(t, sample(), 100, 24)
		press(m, append(c.from, ":")...)
		typeIn(m, c.typed)
		press(m, "enter")
		if s := screen(m); !strings.Contains(s, c.want) {
			t.Errorf("%v, %s: got\n%s", c.from, c.typed, s)
		}
	}
}

func TestThePaletteLeavesNothingOut(t *testing.T) {
	t.Parallel()
	m := begin(t, sample(), 100, 24)
	for _, a := range m.table {
		offered := slices.ContainsFunc(m.choices(), func(c choice) bool { return c.name == a.name && c.action.says == a.says })
		if !offered && a.by == nil && a.places != inText {
			t.Errorf("%s (%s) is not offered", a.name, a.says)
		}
	}
}

func TestThePaletteTakesWhatIsPasted(t *testing.T) {
	t.Parallel()
	m := begin(t, sample(), 100, 24)
	press(m, ":")
	m.Update(tea.PasteMsg{Content: "can\ncel"})
	if s := screen(m); !strings.Contains(s, "can") || !strings.Contains(s, "nothing is called so") {
		t.Errorf("got\n%s", s)
	}
	press(m, "esc", ":")
	m.Update(tea.PasteMsg{Content: "cancel"})
	if s := screen(m); !strings.Contains(s, "cyclops cancel JOB") {
		t.Errorf("got\n%s", s)
	}
}

// What was chosen for files that are not known yet is not done elsewhere.
func TestAChoiceThatWaitsIsDroppedElsewhere(t *testing.T) {
	t.Parallel()
	f := sample()
	m := begin(t, f, 100, 24)
	press(m, "j", "j", ":")
	typeIn(m, "marked")
	_, cmd := m.Update(keyOf("enter"))
	m.Update(keyOf("esc"))
	pump(m, cmd)
	if len(f.verbs) != 0 || len(m.working) != 0 {
		t.Errorf("it was done: %v", f.verbs)
	}
}
