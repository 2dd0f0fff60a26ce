package tui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// logOf is the log of an ended job, open at its beginning.
func logOf(t *testing.T, f *fake, w, h int) (*Model, *logPane) {
	t.Helper()
	m := begin(t, f, w, h)
	press(m, "j", "j", "t", "g")
	return m, m.top().(*logPane)
}

// Hits that lie far into a line that is longer than what is shown as one are all found, and shown.
func TestSearchGoesOnWithinALongLine(t *testing.T) {
	t.Parallel()
	f := sample()
	f.log = "first\n" + strings.Repeat("x", 9_000) + "NEEDLE" + strings.Repeat("y", 6_000) + "NEEDLE\nthe last NEEDLE\n"
	for _, keys := range [][]string{nil, {"w"}} {
		m, p := logOf(t, f, 80, 20)
		press(m, keys...)
		press(m, "/")
		typeIn(m, "NEEDLE")
		press(m, "enter")
		for i := range 3 {
			if i > 0 {
				press(m, "n")
			}
			if got := f.log[p.jumped.target:][:6]; got != "NEEDLE" || !strings.Contains(screen(m), "NEEDLE") {
				t.Errorf("%v: hit %d is %q at %d:\n%s", keys, i, got, p.jumped.target, screen(m))
			}
		}
		if p.jumped.target != int64(strings.LastIndex(f.log, "NEEDLE")) {
			t.Errorf("%v: three hits on it is at %d", keys, p.jumped.target)
		}
		for range 2 {
			press(m, "N")
		}
		if p.jumped.target != int64(strings.Index(f.log, "NEEDLE")) {
			t.Errorf("%v: two hits back it is at %d", keys, p.jumped.target)
		}
	}
}

// With one stream shown, the other's errors are not what one looks for.
func TestSearchLooksAtTheStreamThatIsShown(t *testing.T) {
	t.Parallel()
	f := sample()
	m, p := logOf(t, f, 100, 24)
	press(m, "o", "g", "e")
	if want := int64(strings.Index(f.log, "ERROR:")); p.jumped.target != want || !strings.Contains(screen(m), " ERROR: [Route") {
		t.Errorf("it is at %d, not at %d:\n%s", p.jumped.target, want, screen(m))
	}
	press(m, "/")
	typeIn(m, "timing")
	press(m, "enter", "esc")
	if s := screen(m); !strings.Contains(s, "/timing in 0 lines") {
		t.Errorf("what is not shown is counted:\n%s", s)
	}
	press(m, "o")
	if s := screen(m); !strings.Contains(s, "/timing in 1 line") {
		t.Errorf("it is not counted anew:\n%s", s)
	}
}

// Whoever goes elsewhere while the host looks is not brought back by the answer.
func TestASearchThatIsLeftDoesNotMoveTheScreen(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"esc", "G", "g", "f", "o"} {
		m, p := logOf(t, sample(), 100, 24)
		_, look := m.Update(keyOf("e"))
		if !strings.Contains(screen(m), "looking") {
			t.Error("it does not say that it looks")
		}
		press(m, key)
		top := p.top
		pump(m, look)
		if p.top != top || p.jumped.target >= 0 || len(m.stack) != 2 {
			t.Errorf("%s: an answer moved the screen from %d to %d:\n%s", key, top, p.top, screen(m))
		}
	}
}

// stuck is a host that looks and does not come further.
type stuck struct{ *fake }

func (s *stuck) LogFind(context.Context, Ref, LogSearch) (api.LogFound, error) {
	return api.LogFound{Size: 100}, nil
}

func TestASearchEndsWhereTheHostDoesNotComeFurther(t *testing.T) {
	t.Parallel()
	m, p := logOf(t, sample(), 100, 24)
	m.client = &stuck{sample()}
	press(m, "/", "x", "enter", "E")
	if p.jumped.stop != nil || !p.search.done || len(m.notices) == 0 {
		t.Errorf("it goes on:\n%s", screen(m))
	}
}

// Which hit of how many is about the text, not about an error that one jumped to meanwhile.
func TestTheCountIsAboutTheText(t *testing.T) {
	t.Parallel()
	m, _ := logOf(t, sample(), 100, 24)
	press(m, "/")
	typeIn(m, "cell 3")
	press(m, "enter", "n")
	if s := screen(m); !strings.Contains(s, "/cell 3 2 of ") {
		t.Errorf("got\n%s", s)
	}
	press(m, "e")
	if s := screen(m); !strings.Contains(s, fmt.Sprintf("/cell 3 in %d lines", strings.Count(sampleLog(), "cell 3"))) {
		t.Errorf("got\n%s", s)
	}
}

// followed opens the log of a running job and follows it until chunks have come and no more do.
func followed(t *testing.T, chunks ...Chunk) (*Model, *logPane) {
	t.Helper()
	m := begin(t, sample(), 100, 24)
	press(m, "j", "t")
	p := m.top().(*logPane)
	tail := make(chan Chunk, len(chunks))
	for _, c := range chunks {
		tail <- c
	}
	close(tail)
	p.ended, p.follow, p.tail = false, true, tail
	pump(m, p.receive(tail))
	return m, p
}

// A log whose following failed is not complete, and is followed again when a key asks for that.
func TestAFollowingThatFailsIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	newest := api.LogChunk{Offset: int64(len(sampleLog())), Stream: api.Stdout, Data: []byte("the newest\n")}
	m, p := followed(t, Chunk{LogChunk: newest}, Chunk{Err: errors.New("the log is damaged"), Over: true})
	if s := screen(m); p.ended || strings.Contains(s, "complete") || !strings.Contains(s, "no longer followed") || !strings.Contains(s, "the newest") || !strings.Contains(s, "the log is damaged") {
		t.Errorf("got\n%s", s)
	}
	press(m, "esc", "f")
	if s := screen(m); !p.ended || !strings.Contains(s, "complete") {
		t.Errorf("it is not followed again:\n%s", s)
	}
}

// Contact that was lost and found again does not make a log incomplete.
func TestALogThatEndsAfterALossIsComplete(t *testing.T) {
	t.Parallel()
	m, p := followed(t, Chunk{Err: errors.New("contact is lost")})
	if !p.ended || p.broken {
		t.Errorf("got\n%s", screen(m))
	}
}

// A log of a host that is lost is not asked for on; once it is back, what lies near the screen is read.
func TestALostHostIsNotAskedForMoreOfALog(t *testing.T) {
	t.Parallel()
	f := sample()
	f.log = strings.Repeat(sampleLog(), 200)
	m, p := logOf(t, f, 100, 24)
	press(m, "g")
	next := p.window.next
	m.takeEvent("lab", Event{Err: errors.New("unable to reach lab")})
	for range 20 {
		p.top = len(p.window.lines) - 30
		press(m, "j")
	}
	if p.window.next != next || len(m.notices) != 0 {
		t.Errorf("it is asked for more:\n%s", screen(m))
	}
	pump(m, m.takeEvent("lab", f.first("lab")))
	if p.window.next == next {
		t.Error("it is not read on")
	}
}

// What is said or typed below a log that is followed does not cover its newest lines.
func TestNothingCoversTheEndOfAFollowedLog(t *testing.T) {
	t.Parallel()
	m := begin(t, sample(), 60, 15)
	press(m, "j", "j", "t")
	m.complain("x", errors.New("it went wrong"))
	if s := screen(m); !strings.Contains(s, "cell 399 of 400") || !strings.Contains(s, "100 %") {
		t.Errorf("got\n%s", s)
	}
	press(m, "esc", "s")
	if s := screen(m); !strings.Contains(s, "cell 399 of 400") {
		t.Errorf("got\n%s", s)
	}
}

// A log that is opened, or seen in another way, while its host is away reads itself when that is back.
func TestALogIsReadWhenItsHostIsBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		before, meanwhile []string
		want              string
	}{
		{nil, []string{"t"}, "cell 399 of 400"},
		{nil, []string{"t", "g"}, "cell 0 of 400"},
		{[]string{"t"}, []string{"f", "f"}, "cell 399 of 400"},
		{[]string{"t"}, []string{"o", "o"}, "only stderr"},
		{[]string{"t", "k"}, []string{"f"}, "cell 399 of 400"},
	} {
		m, f := running(t)
		press(m, c.before...)
		f.away = true
		m.takeEvent("lab", Event{Err: errors.New("no route to lab")})
		press(m, c.meanwhile...)
		if s := screen(m); !strings.Contains(s, "waits for lab") || len(m.notices) > 0 {
			t.Errorf("%v: got\n%s", c.meanwhile, s)
		}
		f.away = false
		pump(m, m.takeEvent("lab", f.first("lab")))
		p := m.top().(*logPane)
		if s := screen(m); !strings.Contains(s, c.want) || strings.Contains(s, "waits for") || p.follow && p.tail == nil && !p.ended {
			t.Errorf("%v: got\n%s", c.meanwhile, s)
		}
	}
}

// A search that has come to an end of the log goes on from the other one when it is asked again.
func TestASearchGoesRound(t *testing.T) {
	t.Parallel()
	m, p := logOf(t, sample(), 100, 24)
	press(m, "/")
	typeIn(m, "cell 399")
	press(m, "enter")
	only := p.jumped.target
	for _, c := range []struct{ key, says string }{
		{"n", "no further cell 399 below; n goes on from the top"},
		{"N", "no further cell 399 above; N goes on from the end"},
		{"e", "no further error or warning below; e goes on from the top"},
	} {
		press(m, c.key)
		if s := screen(m); !strings.Contains(s, c.says) {
			t.Errorf("%s: got\n%s", c.key, s)
		}
		press(m, "esc", c.key)
		if c.key != "e" && p.jumped.target != only || c.key == "e" && p.jumped.target != int64(strings.Index(sampleLog(), "WARNING")) {
			t.Errorf("%s does not go round:\n%s", c.key, screen(m))
		}
	}
}
