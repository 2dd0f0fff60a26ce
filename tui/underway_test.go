package tui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
)

// endless is a host whose fetches take until they are stopped.
type endless struct {
	*fake
	cleaned chan struct{}
}

func (e *endless) Fetch(ctx context.Context, _ Ref, _ []string, _ func(Progress)) (string, error) {
	<-ctx.Done()
	close(e.cleaned)
	return "1 file fetched", fmt.Errorf("unable to fetch: %w", ctx.Err())
}

// fetching is a screen on which a fetch is under way, and what will come of that.
func fetching(t *testing.T) (*Model, *endless, <-chan tea.Msg) {
	t.Helper()
	e := &endless{sample(), make(chan struct{})}
	m := begin(t, e.fake, 100, 24)
	m.client = e
	press(m, "j", "j")
	_, cmd := m.Update(keyOf("F"))
	come := make(chan tea.Msg, 10)
	for _, c := range cmd().(tea.BatchMsg) {
		go func() { come <- c() }()
	}
	return m, e, come
}

// settled gives the model what comes until nothing is under way, and returns what that leads to.
func settled(m *Model, come <-chan tea.Msg) (last tea.Cmd) {
	for len(m.working) > 0 {
		if msg := <-come; msg != nil {
			_, last = m.Update(msg)
		}
	}
	return last
}

// What takes long can be stopped, and is said to have been.
func TestWhatIsUnderWayCanBeStopped(t *testing.T) {
	t.Parallel()
	m, _, come := fetching(t)
	if s := screen(m); !strings.Contains(s, "cyclops fetch lab/ffffffffffffffff") || !strings.Contains(s, "X stops it") {
		t.Errorf("got\n%s", s)
	}
	press(m, "X")
	if s := screen(m); !strings.Contains(s, "stopping") {
		t.Errorf("got\n%s", s)
	}
	settled(m, come)
	if s := screen(m); !strings.Contains(s, "stopped") || !strings.Contains(s, "1 file fetched") || m.notices[0].bad {
		t.Errorf("got\n%s", s)
	}
	press(m, "X")
	if s := screen(m); !strings.Contains(s, "nothing is under way") {
		t.Errorf("got\n%s", s)
	}
}

// Leaving must not cut off unsaid what is under way, nor before it has cleaned up.
func TestLeavingStopsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"q", "ctrl+c"} {
		m, e, come := fetching(t)
		if _, cmd := m.Update(keyOf(key)); cmd != nil || !strings.Contains(screen(m), "Leave, and stop what is under way? [y/N]") {
			t.Fatalf("%s leaves at once:\n%s", key, screen(m))
		}
		press(m, "n")
		if m.question != nil || len(m.working) != 1 {
			t.Fatalf("it does not go on:\n%s", screen(m))
		}
		m.Update(keyOf(key))
		if _, cmd := m.Update(keyOf("y")); cmd != nil {
			t.Error("it does not wait for what it stops")
		}
		if last := settled(m, come); last == nil || last() != (tea.QuitMsg{}) {
			t.Error("it does not leave")
		}
		<-e.cleaned
	}
	m, _, _ := fetching(t)
	m.Update(keyOf("ctrl+c"))
	if _, cmd := m.Update(keyOf("ctrl+c")); cmd == nil || cmd() != (tea.QuitMsg{}) {
		t.Error("a second Ctrl-C asks again")
	}
}

// An error stays until it is dismissed, however often another comes.
func TestNoErrorIsPushedOut(t *testing.T) {
	t.Parallel()
	m := begin(t, sample(), 100, 24)
	m.complain("x", errors.New("the first"))
	for range 1000 {
		m.complain("y", errors.New("time and again"))
		m.say(notice{text: "well"})
	}
	m.complain("y", errors.New("time and again"))
	if s := screen(m); !strings.Contains(s, "(1 more)") {
		t.Errorf("got\n%s", s)
	}
	press(m, "esc")
	if s := screen(m); !strings.Contains(s, "the first") {
		t.Errorf("got\n%s", s)
	}
	for i := range keptNotices + 5 {
		m.complain("z", fmt.Errorf("number %d", i))
	}
	if s := screen(m); !strings.Contains(s, "(199 more; 6 older ones are gone)") {
		t.Errorf("got\n%s", s)
	}
}
