package tui

import (
	"strings"
	"testing"
)

// The job before another of its name is found however many of other names lie between.
func TestTheJobBeforeIsFoundFarBack(t *testing.T) {
	t.Parallel()
	f := many(1, 700)
	all := f.jobs["h0"]
	all[0].Name, all[650].Name = "rare", "rare"
	m := begin(t, f, 100, 24)
	press(m, "=")
	if s := screen(m); !strings.Contains(s, "manifest diff h0/"+all[650].ID+" h0/"+all[0].ID) || !strings.Contains(s, "state") {
		t.Errorf("got\n%s", s)
	}
	press(m, "esc", "G", "=")
	if s := screen(m); !strings.Contains(s, "there is no earlier job of its name") {
		t.Errorf("got\n%s", s)
	}
}
