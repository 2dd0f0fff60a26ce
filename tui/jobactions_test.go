package tui

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"pgregory.net/rapid"
)

// What is copied is pasted into a shell, which must see one line with these words.
func TestCopiedCommandIsOneLineOfTheseWords(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	check := func(fatalf func(string, ...any), words []string) {
		text := spoken(words)
		if strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }) {
			fatalf("%q holds what is no text", text)
		}
		out, err := exec.CommandContext(t.Context(), sh, "-c", `cyclops() { printf '%s\0' "$@"; }; `+text).Output()
		if want := strings.Join(words, "\x00") + "\x00"; err != nil || string(out) != want {
			fatalf("%s: %v, got %q, want %q", text, err, out, want)
		}
	}
	check(t.Fatalf, []string{"run", "-c", "make\nrm -rf x\r\t'q' \\n \x1b[201~ \u0085é" + "7"})
	rapid.Check(t, func(rt *rapid.T) {
		check(rt.Fatalf, rapid.SliceOfN(rapid.StringOf(rapid.RuneFrom([]rune("ab07 '\"\\$`\n\r\t\x1b\x7f\u0085é~!#=-"))), 1, 3).Draw(rt, "words"))
	})
}

// Only what an action was about is unmarked, whatever came of it.
func TestMarksServeOnce(t *testing.T) {
	t.Parallel()
	f := sample()
	m := begin(t, f, 100, 24)
	press(m, "space", "j", "j", "space", "c", "y") // one that runs, and two of the past
	if running, other := (Ref{"lab", "rrrrrrrrrrrrrrrr"}), (Ref{"lab", "ssssssssssssssss"}); m.jobs.marked[running] || !m.jobs.marked[other] || len(m.jobs.marked) != 1 {
		t.Errorf("marked: %v", m.jobs.marked)
	}
	press(m, "g", "j", "j", "a", "F")
	if len(m.jobs.marked) != 1 {
		t.Error("fetching artifacts of one job unmarked another")
	}
	f.fail = fmt.Errorf("it went wrong")
	press(m, "esc", "esc", "P")
	if len(m.jobs.marked) != 0 {
		t.Errorf("still marked: %v", m.jobs.marked)
	}
}

// Of many jobs a verb may do some: what it said of those is not lost with the error.
func TestFailureShowsWhatWasDone(t *testing.T) {
	t.Parallel()
	f := sample()
	f.fail = api.Errorf(api.Conflict, "do this", "it went wrong")
	f.partly = "retried one"
	m := begin(t, f, 100, 24)
	press(m, "r")
	if s := screen(m); !strings.Contains(s, "it went wrong") || !strings.Contains(s, "retried one") {
		t.Errorf("got\n%s", s)
	}
}

func TestManyAreFetchedOneAfterTheOther(t *testing.T) {
	t.Parallel()
	f := sample()
	f.fail = fmt.Errorf("it went wrong")
	m := begin(t, f, 100, 24)
	press(m, "j", "j", "space", "space", "space")
	_, cmd := m.Update(keyOf("F"))
	if len(m.working) != 1 {
		t.Errorf("%d fetches begin at once", len(m.working))
	}
	pump(m, cmd)
	want := "fetch lab/ffffffffffffffff; fetch lab/ssssssssssssssss; fetch local/cccccccccccccccc"
	if got := strings.Join(f.verbs, "; "); got != want {
		t.Errorf("did %q, want %q", got, want)
	}
}

// Asking where a tree is reads files: Update waits for nobody.
func TestTreeIsSoughtOutsideOfUpdate(t *testing.T) {
	t.Parallel()
	f := sample()
	m := begin(t, f, 100, 24)
	_, cmd := m.Update(keyOf("o"))
	if f.trees.Load() != 0 {
		t.Error("it was sought within Update")
	}
	pump(m, cmd)
	if f.trees.Load() != 1 || !strings.Contains(screen(m), "not on this machine") {
		t.Errorf("got\n%s", screen(m))
	}
}

// A shell exits as its last command did; that is no failure.
func TestShellThatWasLeftIsNoFailure(t *testing.T) {
	t.Parallel()
	for code, bad := range map[int]bool{0: false, 1: false, 127: false, notDone: true, unknown: true} {
		err := exec.CommandContext(t.Context(), "sh", "-c", fmt.Sprint("exit ", code)).Run()
		if got := ofShell(err, notDone, unknown); (got != nil) != bad {
			t.Errorf("%d: got %v", code, got)
		}
		if got := ofShell(err); got != nil {
			t.Errorf("%d in a tree: got %v", code, got)
		}
	}
}

// Leaving the filter as it was leaves the place in the table.
func TestUnchangedFilterKeepsThePlace(t *testing.T) {
	t.Parallel()
	for _, last := range []string{"esc", "enter"} {
		m := begin(t, sample(), 100, 24)
		press(m, "f")
		typeIn(m, "name:build")
		press(m, "enter", "G")
		at, generation := m.jobs.at, m.jobs.history.generation
		press(m, "f", last)
		if m.jobs.at != at || m.jobs.history.generation != generation || len(m.jobs.history.rows) == 0 {
			t.Errorf("%s: the choice was %v, is %v", last, at, m.jobs.at)
		}
		press(m, "f")
		typeIn(m, " x:1")
		press(m, "enter")
		if m.jobs.wrong == "" {
			t.Fatal("it is no query")
		}
		press(m, "f", "esc")
		if m.jobs.wrong != "" || m.jobs.query.Source != "name:build" {
			t.Errorf("got %q, %q", m.jobs.wrong, m.jobs.query.Source)
		}
	}
}

// A page that did not come is told of, and asked for again.
func TestFailedPageIsAskedForAgain(t *testing.T) {
	t.Parallel()
	f := sample()
	f.failJobs = fmt.Errorf("too slow")
	m := begin(t, f, 100, 24)
	if s := screen(m); !strings.Contains(s, "too slow") {
		t.Errorf("got\n%s", s)
	}
	press(m, "j", "j")
	if n := len(m.notices); n != len(f.hosts) {
		t.Errorf("%d notices of %d hosts", n, len(f.hosts))
	}
	f.failJobs = nil
	press(m, "esc", "esc", "j")
	if r := m.jobs.find(Ref{"lab", "ssssssssssssssss"}); r == nil || r.State != manifest.Succeeded {
		t.Errorf("got\n%s", screen(m))
	}
}
