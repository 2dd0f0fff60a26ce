package tui

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	// teatest waits for an interrupt for as long as the process lives.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/charmbracelet/x/exp/teatest/v2.NewTestModel.func2"))
}

func TestEveryActionIsItsVerb(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ keys, want string }{
		{"c y", "cancel lab/rrrrrrrrrrrrrrrr"},
		{"space space c y", "cancel lab/rrrrrrrrrrrrrrrr lab/qqqqqqqqqqqqqqqq"},
		{"r", "retry lab/rrrrrrrrrrrrrrrr"},
		{"j p l o w enter", "reprioritise lab/qqqqqqqqqqqqqqqq --priority low"},
		{"j j x y", "rm lab/ffffffffffffffff"},
		{"j j F", "fetch lab/ffffffffffffffff"},
		{"j j enter F", "fetch lab/ffffffffffffffff"},
		{"j j a j F", "fetch lab/ffffffffffffffff build/crash.txt"},
		{"j j a space F", "fetch lab/ffffffffffffffff build/top.bin build/top.rpt build/reports/timing.rpt build/crash.txt"},
		{"2 j i enter", "install lab"},
		{"2 j u", "install lab"},
		{"2 j D y", "drain lab"},
		{"2 j R", "resume lab"},
		{"j j P", "pin lab/ffffffffffffffff"},
		{"j j P P", "pin lab/ffffffffffffffff; unpin lab/ffffffffffffffff"},
		{"2 j C C y", "gc --yes lab"},
		{"j j t s enter", "save lab/ffffffffffffffff ffffffffffffffff.log"},
		// What destroys is not done without a yes.
		{"c n", ""}, {"c esc", ""}, {"c x", ""}, {"j j x n", ""}, {"2 j D q", ""}, {"2 j C n", ""},
		// What cannot be done is not asked for.
		{"j j c y", ""}, {"x y", ""}, {"p", ""}, {"2 u", ""}, {"F", ""},
	} {
		f := sample()
		m := begin(t, f, 100, 24)
		press(m, strings.Fields(c.keys)...)
		if got := strings.Join(f.verbs, "; "); got != c.want {
			t.Errorf("%s: did %q, want %q", c.keys, got, c.want)
		}
	}
}

// A key that means two things in one place would do the first of them only.
func TestKeysAreUnambiguousAndExplained(t *testing.T) {
	t.Parallel()
	m := New(t.Context(), sample())
	for in, name := range placeNames {
		seen := map[string]string{}
		for _, a := range m.table {
			if a.places&in == 0 {
				continue
			}
			if a.says == "" || a.name == "" || (a.by == nil) == (a.do == nil) {
				t.Errorf("%s: %v is not whole", name, a.keys)
			}
			for _, k := range a.keys {
				if seen[k] != "" {
					t.Errorf("%s: %s is %s and %s", name, k, seen[k], a.name)
				}
				seen[k] = a.name
			}
		}
		if seen["esc"] == "" || seen["?"] == "" || seen["j"] == "" {
			t.Errorf("%s has no way out or no help", name)
		}
	}
}

// From wherever one is, escape leads back to the table of jobs.
func TestEscapeAlwaysGoesBack(t *testing.T) {
	t.Parallel()
	keys := []string{"enter", "t", "a", "2", "1", "?", ":", "/", "f", "c", "d", "j", "space", "=", "n", "w", "x", "tab", "r", "b", "h", "p"}
	rapid.Check(t, func(rt *rapid.T) {
		m := begin(t, sample(), 80, 24)
		press(m, rapid.SliceOfN(rapid.SampledFrom(keys), 0, 12).Draw(rt, "keys")...)
		for range 40 {
			press(m, "esc")
		}
		if len(m.stack) != 1 || m.overlay != nil || m.question != nil || m.input != nil || len(m.notices) != 0 {
			rt.Fatalf("left in\n%s", screen(m))
		}
	})
}

// Whatever is typed at whatever size, every line fits and there are as many as the screen has.
func TestEveryScreenFits(t *testing.T) {
	t.Parallel()
	keys := []string{"enter", "t", "a", "2", "1", "?", ":", "/", "f", "c", "d", "j", "k", "G", "g", "space", "=", "w", "T", "o", "e", "v", "b", "s", "ctrl+d", "l", "esc", "y"}
	rapid.Check(t, func(rt *rapid.T) {
		m := begin(t, sample(), 80, 24)
		for _, k := range rapid.SliceOfN(rapid.SampledFrom(keys), 0, 15).Draw(rt, "keys") {
			press(m, k)
			w, h := rapid.IntRange(60, 200).Draw(rt, "width"), rapid.IntRange(15, 60).Draw(rt, "height")
			_, cmd := m.Update(tea.WindowSizeMsg{Width: w, Height: h})
			pump(m, cmd)
			text := screen(m)
			if n := strings.Count(text, "\n") + 1; n != h {
				rt.Fatalf("%s: %d lines of %d\n%s", k, n, h, text)
			}
			for _, line := range strings.Split(text, "\n") {
				if got := width(bare(line)); got > w {
					rt.Fatalf("%s: %d cells of %d: %q", k, got, w, line)
				}
			}
		}
	})
}

func TestNewJobsDoNotMoveTheChoice(t *testing.T) {
	t.Parallel()
	m := begin(t, sample(), 100, 24)
	press(m, "j", "j")
	before := m.jobs.at
	for i := range 5 {
		m.takeEvent("lab", Event{News: api.News{Jobs: []api.JobInfo{{ID: fmt.Sprintf("new%d", i), Seq: int64(100 + i), State: manifest.Running, Accepted: sampleTime}}}})
	}
	if m.jobs.at != before || m.jobs.current().ref() != before {
		t.Errorf("the choice moved from %v to %v", before, m.jobs.at)
	}
}

func TestEndedJobMovesIntoThePast(t *testing.T) {
	t.Parallel()
	f := sample()
	m := begin(t, f, 100, 24)
	press(m, "w")
	ended := f.jobs["lab"][1]
	ended.State, ended.Ended, ended.ExitCode = manifest.Succeeded, ago(0), code(0)
	m.takeEvent("lab", Event{News: api.News{Jobs: []api.JobInfo{ended}}})
	if len(m.jobs.live) != 1 || m.jobs.find(Ref{"lab", ended.ID}).State != manifest.Succeeded {
		t.Errorf("got\n%s", screen(m))
	}
	if !strings.Contains(screen(m), "build (lab/rrrrrrrrrrrrrrrr) succeeded") {
		t.Errorf("the watched job's end is not told:\n%s", screen(m))
	}
	m.takeEvent("lab", Event{News: api.News{Gone: []string{ended.ID}}})
	if m.jobs.find(Ref{"lab", ended.ID}) != nil {
		t.Error("a removed job is still shown")
	}
}

// A host that comes back is read again, with what ended meanwhile; what was seen stays until then.
func TestLostHostComesBack(t *testing.T) {
	t.Parallel()
	f := sample()
	m := begin(t, f, 100, 24)
	m.takeEvent("lab", Event{Err: api.Errorf(api.Unreachable, "", "no route"), Retry: time.Second})
	if !m.host("lab").lost() || !strings.Contains(screen(m), "make sim") && !strings.Contains(screen(m), "waits for a slot") {
		t.Errorf("got\n%s", screen(m))
	}
	for i := range f.jobs["lab"] {
		if j := &f.jobs["lab"][i]; !j.State.Ended() {
			j.State, j.Ended, j.ExitCode = manifest.Failed, ago(0), code(2)
		}
	}
	pump(m, m.takeEvent("lab", f.first("lab")))
	if m.host("lab").lost() || len(m.jobs.live) != 0 {
		t.Error("the host is still lost")
	}
	if got := strings.Count(screen(m), "failed (2)"); got != 2 {
		t.Errorf("%d of 2 jobs that ended meanwhile are shown:\n%s", got, screen(m))
	}
}

func TestErrorsStayUntilDismissed(t *testing.T) {
	t.Parallel()
	f := sample()
	f.fail = api.Errorf(api.Conflict, "do this", "it went wrong")
	m := begin(t, f, 100, 24)
	press(m, "r", "P")
	m.say(notice{text: "fine"})
	press(m, "j", "k", "enter")
	for range 2 {
		press(m, "esc")
	}
	if s := screen(m); !strings.Contains(s, "it went wrong") || !strings.Contains(s, "do this") {
		t.Errorf("got\n%s", s)
	}
	press(m, "esc")
	if strings.Contains(screen(m), "it went wrong") {
		t.Error("it cannot be dismissed")
	}
}

func TestMouseChoosesScrollsAndOpens(t *testing.T) {
	t.Parallel()
	m := begin(t, sample(), 100, 24)
	click := func(x, y int) {
		_, cmd := m.Update(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft})
		pump(m, cmd)
	}
	click(10, 5)
	if m.jobs.current().ID != "ffffffffffffffff" {
		t.Errorf("chose %v", m.jobs.at)
	}
	click(10, 5)
	if m.top().place() != inJob {
		t.Error("a second click does not open it")
	}
	click(20, 0)
	if m.top().place() != inHosts {
		t.Error("a click on a tab does not open it")
	}
	click(10, 0)
	_, cmd := m.Update(tea.MouseWheelMsg{Button: tea.MouseWheelUp})
	pump(m, cmd)
	if m.top().place() != inJobs || m.jobs.cursor != 0 {
		t.Errorf("the wheel led to %d", m.jobs.cursor)
	}
}

func TestLogFollowsUntilScrolled(t *testing.T) {
	t.Parallel()
	m := begin(t, sample(), 80, 20)
	press(m, "t")
	p := m.top().(*logPane)
	p.ended, p.tail = false, make(chan Chunk)
	grow := func(text string) {
		m.Update(tailMsg{pane: p, tail: p.tail, chunks: []api.LogChunk{{Offset: p.size, Stream: api.Stdout, Data: []byte(text)}}})
	}
	for i := range keptLines + slackLines + 500 {
		grow(fmt.Sprintf("line %d\n", i))
	}
	if len(p.window.lines) > keptLines+slackLines || !strings.Contains(screen(m), fmt.Sprintf("line %d", keptLines+slackLines+499)) {
		t.Errorf("%d lines are kept\n%s", len(p.window.lines), screen(m))
	}
	tail := p.tail
	press(m, "k")
	if p.follow || p.tail != nil {
		t.Error("it still follows")
	}
	before := screen(m)
	m.Update(tailMsg{pane: p, tail: tail, chunks: []api.LogChunk{{Offset: p.size, Data: []byte("late\n")}}})
	if screen(m) != before {
		t.Error("what arrives late moves what is read")
	}
}

// w wraps at once, and before the first move.
func TestAPreviewWrapsAtOnce(t *testing.T) {
	t.Parallel()
	m := begin(t, sample(), 60, 15)
	press(m, "j", "j", "a", "G", "k", "k", "enter")
	p := m.top().(*textPane)
	p.source = []styled{{text: strings.Repeat("long line ", 20)}}
	press(m, "w")
	if want := (200 + 57) / 58; len(p.rows) != want {
		t.Errorf("%d rows, want %d:\n%s", len(p.rows), want, screen(m))
	}
}

// The window shows the same lines whichever way it came to them.
func TestLogWindowIsTheLog(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		f := sample()
		m := begin(t, f, 100, 30)
		press(m, "j", "j", "t")
		p := m.top().(*logPane)
		for _, k := range rapid.SliceOfN(rapid.SampledFrom([]string{"g", "G", "ctrl+d", "ctrl+u", "k", "j", "e", "E", "w"}), 0, 30).Draw(rt, "keys") {
			press(m, k)
		}
		at := p.window.from
		for i, l := range p.window.lines {
			if l.offset != at || f.log[l.offset:l.end] != l.text && f.log[l.offset:l.end] != l.text+"\n" {
				rt.Fatalf("line %d is %d..%d %q", i, l.offset, l.end, l.text)
			}
			at = l.end
		}
		if at != p.window.next {
			rt.Fatalf("the window ends at %d, not %d", p.window.next, at)
		}
	})
}

func TestNothingOfALogSteersTheTerminal(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"\x1b[31mred\x1b[0m": "\x1b[31mred\x1b[0m", "\x1b]0;evil\a": "^[]0;evil^G", "10%\r99%\r": "99%", "a\tb": "a       b", "\x1b[2J": "^[[2J", "x\u202ey": "x?y", "\x9b31m": "M-^[31m", "a\nb": "a b",
	} {
		if got := safeLine([]byte(in)); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzSafeLine(f *testing.F) {
	f.Add([]byte("\x1b[31mred\x1b[0m\ttab\r\x1b]0;t\a"), 7, 20)
	f.Add([]byte("two\nlines"), 0, 20)
	f.Fuzz(func(t *testing.T, line []byte, from, w int) {
		from, w = min(max(from, 0), 500), min(max(w, 1), 500)
		row := cut(safeLine(line), from, w, true)
		for i := 0; i < len(row); {
			if n := sgrLength(row[i:]); n > 0 {
				i += n
				continue
			}
			if c := row[i]; c < 0x20 || c == 0x7f {
				t.Fatalf("%q shows %q", line, row)
			}
			i++
		}
		if got := width(bare(row)); got > w {
			t.Fatalf("%q: %d cells of %d", line, got, w)
		}
	})
}

// A key is about the job that is highlighted when it is pressed, though nobody moved the choice and
// another job has come above it.
func TestNewJobsDoNotMoveAnUnmovedChoice(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{"", "j g"} {
		f := sample()
		m := begin(t, f, 100, 24)
		press(m, strings.Fields(keys)...)
		for i := range 3 {
			m.takeEvent("lab", Event{News: api.News{Jobs: []api.JobInfo{{ID: fmt.Sprintf("new%d", i), Name: fmt.Sprintf("fresh%d", i), Seq: int64(100 + i), State: manifest.Running, Accepted: sampleTime}}}})
		}
		if !strings.Contains(screen(m), "fresh2") {
			t.Errorf("what is new is not seen:\n%s", screen(m))
		}
		press(m, "r")
		if got := strings.Join(f.verbs, "; "); got != "retry lab/rrrrrrrrrrrrrrrr" {
			t.Errorf("%q: did %q", keys, got)
		}
	}
}

// A host that is there again tells of its jobs in several pieces.
func TestChoiceComesBackWithItsHost(t *testing.T) {
	t.Parallel()
	f := sample()
	m := begin(t, f, 100, 24)
	press(m, "j")
	at, all := m.jobs.at, f.first("lab")
	some := all
	some.News.Jobs = slices.DeleteFunc(slices.Clone(all.News.Jobs), func(j api.JobInfo) bool { return j.ID == at.ID })
	pump(m, m.takeEvent("lab", some))
	all.First = false
	pump(m, m.takeEvent("lab", all))
	if m.jobs.at != at || m.jobs.current().ref() != at {
		t.Errorf("the choice moved from %v to %v", at, m.jobs.at)
	}
}
