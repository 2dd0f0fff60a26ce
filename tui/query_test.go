package tui

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

func TestQuery(t *testing.T) {
	t.Parallel()
	j := api.JobInfo{ID: "abcd", State: manifest.Failed, Name: "uart-rx", Project: "blinky", Owner: "ada", Command: "make Bit", Accepted: sampleTime.Add(-3 * time.Hour)}
	for text, want := range map[string]bool{
		"": true, "state:failed": true, "state:lost,failed": true, "state:lost": false, "host:lab": true, "host:a,lab": true, "host:x": false,
		"name:uart-rx": true, "name:uart": false, "name:~UART": true, "project:~link": true, "owner:ada since:4h": true, "since:2h": false,
		"until:2h": true, "since:2026-11-21": true, "since:2026-11-22": false, "id:ab": true, "id:b": false, "bit": true, "BIT ada": true, "bit eve": false,
	} {
		q, err := ParseQuery(text, sampleTime)
		if err != nil || q.Holds("lab", &j) != want {
			t.Errorf("%q: %v, %v", text, err, !want)
		}
	}
	for _, text := range []string{"state:", "state:done", "colour:red", "since:soon", "since:-2d", "since:2x"} {
		if _, err := ParseQuery(text, sampleTime); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	known := map[string][]string{"state": {"failed", "running", "lost"}, "host": {"lab", "local"}, "name": {"uart-rx"}}
	for typed, want := range map[string]string{
		"st": "state:", "state:f": "state:failed", "state:failed,l": "state:failed,lost", "x host:l": "x host:lab|x host:local", "name:~u": "name:~uart-rx", "": "", "host:lab": "",
	} {
		if got := strings.Join(complete(typed, known), "|"); got != want {
			t.Errorf("%q: got %q, want %q", typed, got, want)
		}
	}
}

// many are hosts with long pasts, their jobs accepted in turns.
func many(hosts, n int) *fake {
	f := &fake{jobs: map[string][]api.JobInfo{}, events: make(chan Event)}
	for h := range hosts {
		name := fmt.Sprintf("h%d", h)
		f.hosts = append(f.hosts, Host{Name: name})
		all := make([]api.JobInfo, n)
		for i := range all {
			at := sampleTime.Add(-time.Duration(i*hosts+h) * time.Minute)
			all[i] = api.JobInfo{ID: fmt.Sprintf("%s-%07d", name, n-i), Seq: int64(n - i), State: manifest.Succeeded, Name: "build", Project: "blinky", Owner: "ada", Command: "make -j8 bitstream", Accepted: at, Started: &at, Ended: &at, ExitCode: code(0)}
		}
		f.jobs[name] = all
	}
	return f
}

// Paging down to the end and up again shows every job once and in order, whatever is in memory.
func TestHistoryIsWholeAndInOrder(t *testing.T) {
	t.Parallel()
	const n = 3000
	m := begin(t, many(3, n), 100, 50)
	var down []Ref
	seen := map[Ref]bool{}
	for !seen[m.jobs.at] {
		seen[m.jobs.at] = true
		down = append(down, m.jobs.at)
		press(m, "j")
		if len(m.jobs.history.rows) > keptRows+3*pageSize {
			t.Fatalf("%d rows are in memory", len(m.jobs.history.rows))
		}
	}
	if len(down) != 3*n {
		t.Fatalf("%d of %d jobs were shown", len(down), 3*n)
	}
	for i := 1; i < len(down); i++ {
		a, b := down[i-1], down[i]
		if a.ID[3:] < b.ID[3:] && a.Host == b.Host {
			t.Fatalf("%v comes before %v", a, b)
		}
	}
	for i := len(down) - 1; i >= 0; i-- {
		if m.jobs.at != down[i] {
			t.Fatalf("on the way up, %v is at the place of %v", m.jobs.at, down[i])
		}
		press(m, "k")
	}
}

func TestTheOldestJobsAreAKeyAway(t *testing.T) {
	t.Parallel()
	m := begin(t, many(2, 3000), 100, 50)
	press(m, "G")
	if got := m.jobs.at.ID; got != "h1-0000001" {
		t.Errorf("at %s", got)
	}
	press(m, "k", "k")
	if got := m.jobs.at.ID; got != "h1-0000002" {
		t.Errorf("two lines up at %s", got)
	}
	press(m, "g")
	if got := m.jobs.at.ID; got != "h0-0003000" {
		t.Errorf("back at %s", got)
	}
}

func TestSortingAndSearching(t *testing.T) {
	t.Parallel()
	m := begin(t, sample(), 100, 24)
	press(m, "s")
	var names []string
	for _, l := range m.jobs.view {
		names = append(names, l.row.Name)
	}
	if !slices.IsSorted(names) {
		t.Errorf("sorted by name: %q", names)
	}
	press(m, "/")
	typeIn(m, "bench")
	press(m, "enter")
	if m.jobs.current().Name != "bench" {
		t.Errorf("found %v", m.jobs.at)
	}
}

// A word that a host is asked for leaves out no job that the table would show.
func TestIndexedTextIsInTheIndex(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]string{
		"uart": "uart", "uart fast": "uart", "fail uart": "uart", "lab uart": "uart", "LA uart": "uart",
		"fail": "", "la": "", "é": "", "a&b": "", "state:failed": "",
	} {
		q, err := ParseQuery(filter, sampleTime)
		if got := q.IndexedText("Lab"); err != nil || got != want {
			t.Errorf("%q: got %q, want %q (%v)", filter, got, want, err)
		}
	}
}

func TestHelpSaysWhatTheKeyIsAbout(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{"": "state:failed,lost host:lab", "name:a sin": "since: accepted", "state:fa": "state: queued, running", "uart ": "state:failed,lost host:lab"} {
		if got := queryHelp(typed); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %q", typed, got)
		}
	}
}

// A filter by time goes with the time.
func TestAFilterByTimeGoesOn(t *testing.T) {
	t.Parallel()
	m := begin(t, sample(), 100, 24)
	press(m, "f")
	typeIn(m, "since:4h")
	press(m, "enter")
	if s := screen(m); !strings.Contains(s, "3 shown") {
		t.Fatalf("got\n%s", s)
	}
	m.Update(tickMsg(m.now.Add(2 * time.Hour)))
	if s := screen(m); !strings.Contains(s, "2 shown") {
		t.Errorf("got\n%s", s)
	}
}
