//go:build failpoints && linux

package chaos

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// setting is what make chaos passes on; CONTRIBUTING.md lists the variables.
type setting struct {
	kills  int
	hours  float64
	seed   uint64
	points int // of the matrix; 0: all, and a paused process ends in both ways
	report string
	pause  time.Duration
}

var settings = sync.OnceValue(func() setting {
	s := setting{kills: 500, points: 60, seed: uint64(time.Now().UnixNano()), report: os.Getenv("CHAOS_REPORT"), pause: 50 * time.Millisecond}
	if n, err := strconv.Atoi(os.Getenv("CHAOS_KILLS")); err == nil {
		s.kills = n
	}
	if h, err := strconv.ParseFloat(os.Getenv("CHAOS_HOURS"), 64); err == nil {
		s.hours = h
	}
	if n, err := strconv.ParseUint(os.Getenv("CHAOS_SEED"), 10, 64); err == nil {
		s.seed = n
	}
	if n, err := strconv.Atoi(os.Getenv("CHAOS_POINTS")); err == nil {
		s.points = n
	}
	if d, err := time.ParseDuration(os.Getenv("CHAOS_PAUSE")); err == nil {
		s.pause = d
	}
	return s
})

// entry is one line of the report: a case of the matrix or a round of the soak.
type entry struct {
	Case     string   `json:"case"`
	At       string   `json:"at"`
	Seed     uint64   `json:"seed,omitempty"`
	Seconds  float64  `json:"seconds"`
	Faults   int      `json:"faults"`
	Said     []string `json:"said,omitempty"`
	Problems []string `json:"problems,omitempty"`
	tally
}

// report is the file that a long form goes on with; without a name it is kept in memory.
type report struct {
	mu   sync.Mutex
	file *os.File
	all  []entry
}

var theReport = sync.OnceValues(func() (*report, error) {
	r := &report{}
	name := settings().report
	if name == "" {
		return r, nil
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	r.file = f
	return r, r.read(f)
})

// read takes in what an earlier run did. Its last line may be torn: that case is done again.
func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			return r.mend(line)
		}
		if err != nil {
			return err
		}
		var e entry
		if json.Unmarshal([]byte(line), &e) == nil {
			r.all = append(r.all, e)
		}
	}
}

// mend ends a torn line, so that what follows is not one with it.
func (r *report) mend(torn string) error {
	if torn == "" {
		return nil
	}
	_, err := r.file.WriteString("\n")
	return err
}

func open(t testing.TB) *report {
	t.Helper()
	r, err := theReport()
	if err != nil {
		t.Fatalf("unable to open the report: %v", err)
	}
	return r
}

// done tells whether a case passed in an earlier run.
func (r *report) done(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.all {
		if e.Case == name && len(e.Problems) == 0 {
			return true
		}
	}
	return false
}

// faults counts those of the cases that begin with prefix, and the time that they took.
func (r *report) faults(prefix string) (n int, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.all {
		if strings.HasPrefix(e.Case, prefix) {
			n += e.Faults
			took += time.Duration(e.Seconds * float64(time.Second))
		}
	}
	return n, took
}

// add appends a case, on disk before the next begins.
func (r *report) add(e entry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, e)
	if r.file == nil {
		return nil
	}
	line, err := json.Marshal(e)
	if err == nil {
		_, err = r.file.Write(append(line, '\n'))
	}
	return err
}

// record ends a case: its line in the report, and its problems told to the test.
func (w *world) record(t testing.TB, e entry) {
	t.Helper()
	e.At = time.Now().UTC().Format(time.RFC3339)
	w.mu.Lock()
	e.Problems, e.Said = w.problems, w.said
	w.mu.Unlock()
	if err := open(t).add(e); err != nil {
		t.Errorf("unable to write the report: %v", err)
	}
	for _, p := range e.Problems {
		t.Error(p)
	}
	if len(e.Problems) > 0 {
		log, _ := os.ReadFile(w.data.DaemonLog())
		t.Logf("the executor's log ends with\n%s", log[max(0, len(log)-2000):])
	}
}

// summary is what a run ends with.
func (r *report) summary() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var sum tally
	faults, unexplained, broken := 0, 0, 0
	for _, e := range r.all {
		sum.add(e.tally)
		faults += e.Faults
		if len(e.Problems) > 0 {
			broken++
		}
		for _, p := range e.Problems {
			if strings.HasPrefix(p, "unexplained") {
				unexplained++
			}
		}
	}
	return fmt.Sprintf("%d cases, %d faults injected, %d jobs run\njobs lost %d (and %d whose supervisor was killed)\nacknowledged and gone %d\n"+
		"run twice %d\nbytes lost %d\nunexplained errors %d\ncases with a broken promise %d",
		len(r.all), faults, sum.Jobs, sum.Lost, sum.Killed, sum.Vanished, sum.Twice, sum.BytesLost, unexplained, broken)
}

// A report that ends in the middle of a line goes on behind it, and counts what came before.
func TestReportGoesOnBehindATornLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "report")
	if err := os.WriteFile(path, []byte(`{"case":"a","faults":2,"seconds":1}`+"\n"+`{"case":"b","fau`), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		r := &report{file: f}
		if err := r.read(f); err != nil {
			t.Fatal(err)
		}
		if n, took := r.faults(""); !r.done("a") || r.done("b") || n < 2 || took < time.Second {
			t.Errorf("read %+v", r.all)
		}
		if err := r.add(entry{Case: "c", Faults: 1}); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	data, _ := os.ReadFile(path)
	if got := strings.Count(string(data), `"case":"c"`); got != 2 || strings.Count(string(data), "\n") != 4 {
		t.Errorf("the file holds %q", data)
	}
}
