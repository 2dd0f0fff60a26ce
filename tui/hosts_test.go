package tui

import (
	"fmt"
	"strings"
	"testing"
)

// However many hosts there are, the one that is chosen is on the screen, and what is known of it.
func TestHostsScroll(t *testing.T) {
	t.Parallel()
	f := sample()
	for i := range 40 {
		f.hosts = append(f.hosts, Host{Name: fmt.Sprintf("farm%02d", i), Address: "farm.example.org"})
	}
	m := begin(t, f, 60, 15)
	press(m, "2", "G")
	if s := screen(m); strings.Count(s, "farm39") < 2 || m.chosenHost().Name != "farm39" || strings.Contains(s, "local") {
		t.Errorf("got\n%s", s)
	}
	press(m, "g")
	if s := screen(m); !strings.Contains(s, " local ") || strings.Contains(s, "farm39") {
		t.Errorf("got\n%s", s)
	}
}

// The host's answer may come while something is typed: only a key asks.
func TestCleaningUpIsAskedForByAKey(t *testing.T) {
	t.Parallel()
	f := sample()
	m := begin(t, f, 100, 24)
	press(m, "2", "j")
	_, answer := m.Update(keyOf("C"))
	press(m, "C", "y")
	pump(m, answer)
	press(m, "y")
	if m.question != nil || len(f.verbs) != 0 {
		t.Errorf("asked by itself, did %q", f.verbs)
	}
	if s := screen(m); !strings.Contains(s, "C frees it") {
		t.Errorf("offers nothing:\n%s", s)
	}
	press(m, "C", "y")
	if got := strings.Join(f.verbs, "; "); got != "gc --yes lab" {
		t.Errorf("did %q", got)
	}
}

// What a host says is offered to the filter only where it is plain text.
func TestCompletionIsCleaned(t *testing.T) {
	t.Parallel()
	f := sample()
	f.jobs["lab"][1].Name = "evil\x1b[2J"
	m := begin(t, f, 100, 24)
	for _, name := range m.jobs.known(m.hosts)["name"] {
		if clean(name) != name {
			t.Errorf("offers %q", name)
		}
	}
}
