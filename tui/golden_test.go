package tui

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/colorprofile"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// updating tells whether goldens are to be written, by the flag that teatest brings.
func updating() bool { return flag.Lookup("update").Value.String() == "true" }

// scenes are states of the screen, each reached as a person reaches it.
var scenes = map[string]func(*Model, *fake){
	"jobs":        func(*Model, *fake) {},
	"jobs-group":  func(m *Model, _ *fake) { press(m, "b") },
	"jobs-marked": func(m *Model, _ *fake) { press(m, "space", "j", "space", "s") },
	"filter":      func(m *Model, _ *fake) { press(m, "f"); typeIn(m, "state:fa") },
	"filtered":    func(m *Model, _ *fake) { press(m, "f"); typeIn(m, "state:failed,lost"); press(m, "enter") },
	"nothing":     func(m *Model, _ *fake) { press(m, "f"); typeIn(m, "name:none"); press(m, "enter") },
	"confirm":     func(m *Model, _ *fake) { press(m, "c") },
	"failure": func(m *Model, f *fake) {
		f.fail = api.Errorf(api.Draining, "cyclops resume lab lets it take jobs again", "lab is draining and takes no new jobs")
		press(m, "r")
	},
	"lost": func(m *Model, _ *fake) {
		m.takeEvent("lab", Event{Err: api.Errorf(api.Unreachable, "cyclops doctor lab checks each part of the way", "unable to reach lab: connection refused"), Retry: 4 * time.Second})
	},
	"keys":    func(m *Model, _ *fake) { press(m, "?") },
	"palette": func(m *Model, _ *fake) { press(m, ":"); typeIn(m, "ca") },
	"running": func(m *Model, _ *fake) { press(m, "enter") },
	"failed":  func(m *Model, _ *fake) { press(m, "j", "j", "enter") },
	"log":     func(m *Model, _ *fake) { press(m, "j", "j", "t") },
	"log-found": func(m *Model, _ *fake) {
		press(m, "j", "j", "t", "g", "/")
		typeIn(m, "cell 2")
		press(m, "enter", "n", "T")
	},
	"log-error": func(m *Model, _ *fake) { press(m, "j", "j", "t", "g", "e", "e", "w") },
	"artifacts": func(m *Model, _ *fake) { press(m, "j", "j", "a", "v", "j", "space") },
	"text":      func(m *Model, _ *fake) { press(m, "j", "j", "a", "G", "k", "k", "enter") },
	"hex":       func(m *Model, _ *fake) { press(m, "j", "j", "a", "j", "j", "j", "j", "enter") },
	"compare":   func(m *Model, _ *fake) { press(m, "j", "j", "=") },
	"hosts":     func(m *Model, _ *fake) { press(m, "2", "j") },
	"doctor":    func(m *Model, _ *fake) { press(m, "2", "j", "d") },
	"upgraded":  func(m *Model, _ *fake) { press(m, "2", "j", "u") },
	"clean":     func(m *Model, _ *fake) { press(m, "2", "j", "C", "C") },
	"pinned":    func(m *Model, _ *fake) { press(m, "j", "j", "P", "enter") },
	"drain":     func(m *Model, _ *fake) { press(m, "2", "j", "D") },
	"save":      func(m *Model, _ *fake) { press(m, "j", "j", "t", "s") },
	"priority":  func(m *Model, _ *fake) { press(m, "j", "p"); typeIn(m, "l") },
	"log-empty": func(m *Model, f *fake) { f.log = ""; press(m, "j", "j", "t") },
	"log-stderr": func(m *Model, _ *fake) {
		press(m, "j", "j", "t", "o", "o")
	},
	"artifacts-empty": func(m *Model, f *fake) {
		f.records = map[string]*manifest.Manifest{"build": {Job: "ffffffffffffffff", Host: "lab", State: manifest.Failed, Ended: sampleTime}}
		press(m, "j", "j", "a")
	},
	"fetching": func(m *Model, _ *fake) {
		press(m, "j", "j")
		m.Update(keyOf("F"))
		steps := make(chan Progress)
		close(steps)
		m.Update(progressMsg{m.working[0], Progress{3 << 20, 10 << 20}, steps})
	},
	"leaving": func(m *Model, _ *fake) {
		m.Update(keyOf("F"))
		press(m, "j", "j")
		m.Update(keyOf("F"))
		press(m, "q")
	},
	"messages": func(m *Model, f *fake) {
		f.fail = api.Errorf(api.Draining, "cyclops resume lab lets it take jobs again", "lab is draining and takes no new jobs\n%s", strings.Repeat("and it said so at length. ", 20))
		press(m, "r", "P", "m")
	},
}

func TestGoldens(t *testing.T) {
	t.Parallel()
	themes := map[string]func(*Model){
		"none":     func(*Model) {},
		"dark":     func(m *Model) { m.theme = newTheme(colorprofile.ANSI256, true) },
		"light":    func(m *Model) { m.theme = newTheme(colorprofile.ANSI256, false) },
		"16":       func(m *Model) { m.theme = newTheme(colorprofile.ANSI, true) },
		"16-light": func(m *Model) { m.theme = newTheme(colorprofile.ANSI, false) },
	}
	for name, arrange := range scenes {
		for _, s := range [][2]int{{60, 15}, {100, 24}, {140, 30}} {
			var plain string
			for _, theme := range slices.Sorted(maps.Keys(themes)) {
				f := sample()
				m := begin(t, f, s[0], s[1])
				themes[theme](m)
				arrange(m, f)
				if theme == "none" || s[0] == 100 {
					golden(t, fmt.Sprintf("%s-%dx%d-%s", name, s[0], s[1], theme), m)
				}
				if plain == "" {
					plain = words(screen(m))
				}
				if got := words(screen(m)); got != plain { // what colours do does not depend on the size
					t.Errorf("%s at %dx%d: the words of %s are others:\n%s\nnot\n%s", name, s[0], s[1], theme, got, plain)
				}
			}
		}
	}
}

// words is what a screen says, without colours.
func words(screen string) string {
	var lines []string
	for line := range strings.Lines(screen) {
		lines = append(lines, bare(strings.TrimSuffix(line, "\n")))
	}
	return strings.Join(lines, "\n")
}

// Nothing configured and nothing run shows how to begin; so do hosts none of which answers.
func TestEmptyGoldens(t *testing.T) {
	t.Parallel()
	f := &fake{hosts: []Host{{Name: "local", Address: "this machine", Default: true}}}
	golden(t, "first-100x24-none", begin(t, f, 100, 24))
	golden(t, "first-60x15-none", begin(t, f, 60, 15))
	golden(t, "small-59x14-none", begin(t, f, 59, 14))
	m := New(t.Context(), sample())
	m.now, m.profile, m.width, m.height = sampleTime, colorprofile.NoTTY, 100, 24
	m.theme = newTheme(m.profile, true)
	m.jobs.restart(m, fromNewest)
	golden(t, "asking-100x24-none", m)
	for _, host := range m.hosts {
		m.takeEvent(host.Name, Event{Err: errors.New("unable to reach " + host.Name + ": no route to host"), Retry: time.Second})
	}
	golden(t, "alllost-100x24-none", m)
}

func golden(t *testing.T, name string, m *Model) {
	t.Helper()
	text := screen(m)
	for _, line := range strings.Split(text, "\n") {
		if w := width(bare(line)); w > m.width {
			t.Errorf("%s: a line of %d cells: %q", name, w, line)
		}
	}
	if n := strings.Count(text, "\n") + 1; n != m.height && m.height >= minHeight {
		t.Errorf("%s: %d lines", name, n)
	}
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		lines = append(lines, strings.TrimRight(strings.ReplaceAll(line, "\x1b", "^["), " "))
	}
	got := strings.Join(lines, "\n") + "\n"
	path := filepath.Join("testdata", name+".golden")
	if updating() {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("%s (%v): got\n%s\nwant\n%s", name, err, got, want)
	}
}
