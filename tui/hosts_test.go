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
