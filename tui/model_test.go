package tui

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/mattn/go-runewidth"
)

var update = flag.Bool("update", false, "write the goldens")

type fake struct {
	calls  []string
	chunks chan Chunk
}

func (*fake) Host() string                                  { return "lab" }
func (*fake) Watch(context.Context) <-chan Jobs             { return make(chan Jobs) }
func (f *fake) Follow(context.Context, string) <-chan Chunk { return f.chunks }
func (f *fake) Cancel(_ context.Context, id string) error   { return f.called("cancel " + id) }
func (f *fake) Remove(_ context.Context, id string) error   { return f.called("remove " + id) }
func (f *fake) Retry(_ context.Context, id string) (string, error) {
	return "new", f.called("retry " + id)
}
func (*fake) Manifest(context.Context, string) (*manifest.Manifest, error) {
	return &manifest.Manifest{Artifacts: []manifest.Artifact{{Name: "build/top.bin", Kind: manifest.KindBitstream, Size: 104090, Fresh: true}}}, nil
}

func (f *fake) called(what string) error {
	f.calls = append(f.calls, what)
	return nil
}

func sample() ([]api.JobInfo, time.Time) {
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	at := func(ago time.Duration) *time.Time { t := now.Add(-ago); return &t }
	zero, one := 0, 1
	return []api.JobInfo{
		{ID: "qqqqqqqqqqqqqqqq", State: manifest.Queued, Position: 2, Name: "sim", Project: "blinky", Command: "make sim", Accepted: *at(30 * time.Second)},
		{ID: "rrrrrrrrrrrrrrrr", State: manifest.Running, Name: "build", Project: "blinky", Command: "yosys -q top.v", Accepted: *at(5 * time.Minute), Started: at(4 * time.Minute), Step: 1,
			Steps: []api.StepInfo{{Name: "synth", Started: at(4 * time.Minute), Ended: at(3 * time.Minute), ExitCode: &zero}, {Name: "route", Started: at(3 * time.Minute)}, {Name: "pack"}}},
		{ID: "ffffffffffffffff", State: manifest.Failed, Name: "日本語", Command: "evil \x1b[2J\u202e name", Accepted: *at(50 * time.Hour), Started: at(50 * time.Hour), Ended: at(49 * time.Hour), ExitCode: &one,
			Steps: []api.StepInfo{{Started: at(50 * time.Hour), Ended: at(49 * time.Hour), ExitCode: &one}}},
	}, now
}

func start(t *testing.T, width, height int, colour bool) (*Model, *fake) {
	t.Helper()
	f := &fake{chunks: make(chan Chunk, 10)}
	m := New(t.Context(), f, colour)
	m.Init()
	jobs, now := sample()
	m.now = now
	m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	m.Update(Jobs{Jobs: jobs})
	return m, f
}

// press sends keys and what their commands bring, those of waiting channels apart.
func press(m *Model, keys ...string) {
	for _, k := range keys {
		msg := tea.KeyPressMsg{Text: k, Code: []rune(k)[0]}
		switch k {
		case "enter":
			msg = tea.KeyPressMsg{Code: tea.KeyEnter}
		case "esc":
			msg = tea.KeyPressMsg{Code: tea.KeyEscape}
		}
		if _, cmd := m.Update(msg); cmd != nil && m.view != logView {
			m.Update(cmd())
		}
	}
}

func TestGoldens(t *testing.T) {
	t.Parallel()
	scenes := map[string]func(*Model){
		"jobs":    func(*Model) {},
		"empty":   func(m *Model) { m.Update(Jobs{}) },
		"filter":  func(m *Model) { press(m, "/", "s", "i") },
		"confirm": func(m *Model) { press(m, "j", "c") },
		"lost":    func(m *Model) { m.Update(Jobs{Err: errors.New("connection refused"), Retry: 4 * time.Second}) },
		"help":    func(m *Model) { press(m, "?") },
		"running": func(m *Model) { press(m, "j", "enter") },
		"failed":  func(m *Model) { press(m, "G", "enter") },
		"log": func(m *Model) {
			press(m, "j", "enter", "enter")
			m.Update(logMsg{pane: m.log, text: "one\n\x1b[31mred\x1b[0m\ttab\n10%\r99%\r\n" + strings.Repeat("long ", 40)})
		},
	}
	for name, arrange := range scenes {
		for _, s := range [][2]int{{60, 15}, {100, 20}} {
			for _, theme := range []string{"none", "dark", "light"} {
				m, _ := start(t, s[0], s[1], theme != "none")
				m.theme = newTheme(theme != "none", theme == "dark")
				arrange(m)
				golden(t, fmt.Sprintf("%s-%dx%d-%s", name, s[0], s[1], theme), m)
			}
		}
	}
}

func golden(t *testing.T, name string, m *Model) {
	t.Helper()
	screen := m.render()
	for _, line := range strings.Split(screen, "\n") {
		if w := runewidth.StringWidth(cut(line, 0, 1<<20, false)); w > m.width {
			t.Errorf("%s: a line of %d cells: %q", name, w, line)
		}
	}
	if n := strings.Count(screen, "\n") + 1; n != m.height {
		t.Errorf("%s: %d lines", name, n)
	}
	got := strings.ReplaceAll(screen, "\x1b", "^[") + "\n"
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("%s (%v): got\n%s\nwant\n%s", name, err, got, want)
	}
}

func TestDestructionIsConfirmed(t *testing.T) {
	t.Parallel()
	m, f := start(t, 80, 20, false)
	press(m, "c", "n", "x", "G", "c", "x", "q")
	if len(f.calls) != 0 {
		t.Fatalf("did %v without a yes", f.calls)
	}
	press(m, "x", "y", "r", "g", "c", "y")
	want := "remove ffffffffffffffff, retry ffffffffffffffff, cancel qqqqqqqqqqqqqqqq"
	if got := strings.Join(f.calls, ", "); got != want {
		t.Errorf("did %s, want %s", got, want)
	}
}

func TestChoiceStaysWhenJobsArrive(t *testing.T) {
	t.Parallel()
	m, _ := start(t, 80, 20, false)
	press(m, "j")
	jobs, _ := sample()
	m.Update(Jobs{Jobs: append([]api.JobInfo{{ID: "new"}}, jobs...)})
	if m.selected != "rrrrrrrrrrrrrrrr" {
		t.Errorf("the choice moved to %s", m.selected)
	}
}

func TestLogFollowsUntilScrolled(t *testing.T) {
	t.Parallel()
	m, _ := start(t, 80, 15, false)
	press(m, "enter", "enter")
	for i := range maxLines + 500 {
		m.Update(logMsg{pane: m.log, text: fmt.Sprintf("line %d\n", i)})
	}
	if n := len(m.log.ring.lines); n != maxLines {
		t.Errorf("%d lines are kept", n)
	}
	if !strings.Contains(m.render(), "line 10499") {
		t.Errorf("does not follow:\n%s", m.render())
	}
	press(m, "k")
	before := m.logLines(m.body())[0]
	m.Update(logMsg{pane: m.log, text: "more\n"})
	if after := m.logLines(m.body())[0]; after != before {
		t.Errorf("new lines moved what is read: %q, then %q", before, after)
	}
	press(m, "G")
	if !strings.Contains(m.render(), "more") {
		t.Error("G does not follow again")
	}
}

func TestLostHostKeepsWhatWasSeen(t *testing.T) {
	t.Parallel()
	m, _ := start(t, 80, 20, false)
	m.Update(Jobs{Err: errors.New("refused"), Retry: time.Second})
	if s := m.render(); !strings.Contains(s, "refused") || !strings.Contains(s, "make sim") {
		t.Errorf("got\n%s", s)
	}
	m.Update(Jobs{})
	if m.problem != "" {
		t.Error("the problem outlives the host's return")
	}
}
