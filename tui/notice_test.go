package tui

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// What is longer than the bottom of the screen shows its hint, and can be read to its end.
func TestLongMessagesCanBeRead(t *testing.T) {
	t.Parallel()
	f := sample()
	m := begin(t, f, 60, 15)
	text := ""
	for i := range 100 {
		text += fmt.Sprintf("line %d of it\n", i)
	}
	m.complain("cyclops run", api.Errorf(api.Conflict, "do this", "%s", text))
	if s := screen(m); !strings.Contains(s, "→ do this") || !strings.Contains(s, "m shows all") || !strings.Contains(s, "esc dismisses it") {
		t.Errorf("got\n%s", s)
	}
	press(m, "m", "G")
	if s := screen(m); !strings.Contains(s, "line 99 of it") || !strings.Contains(s, "→ do this") {
		t.Errorf("got\n%s", s)
	}
	press(m, "esc")
	if s := screen(m); len(m.stack) != 1 || strings.Contains(s, "line 0 of it") {
		t.Errorf("it cannot be left:\n%s", s)
	}
}

// However much is said, it is looked at once only as far as it is shown.
func TestAMessageOfAMegabyteIsCut(t *testing.T) {
	t.Parallel()
	m := begin(t, sample(), 60, 15)
	m.complain("x", errors.New(strings.Repeat("ü", 1<<20)))
	if n := len(m.notices[0].text); n > keptText+8 {
		t.Errorf("%d bytes are kept", n)
	}
	if s := screen(m); !strings.Contains(s, "m shows all") || strings.Count(s, "\n") != 14 {
		t.Errorf("got\n%s", s)
	}
}
