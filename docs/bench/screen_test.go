//go:build bench && linux

package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/creack/pty"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

// measureScreen measures the screen on a terminal, on a host of many jobs and a long log.
func measureScreen(l *lab) []Row {
	jobs, size := n(1_000_000), n(10_000_000_000)
	data := l.there("history")
	l.history(data, jobs)
	l.write("config/cyclops/config.toml", fmt.Sprintf("host = %q\n[hosts.%s]\ndata = %q\nlink_idle = \"10m\"\n", l.server.Name, l.server.Name, data))
	dir := l.mkdir("screen")
	l.prepare(l.cyclops(dir, "install", l.server.Name, "--binary", *cyclopsd))
	job := strings.TrimSpace(string(l.prepare(l.cyclops(dir, "submit", "--bare", "-c", fmt.Sprintf("yes '%s' | head -c %d", longLine, size)))))
	l.prepare(l.cyclops(dir, "wait", job))

	var first, open, keys []float64
	for range n(15) {
		s := l.screen(dir)
		first = append(first, s.until(s.began, "build-"))
		s.close()
	}
	s := l.screen(dir)
	s.until(s.began, "build-")
	for range n(15) {
		open = append(open, s.until(s.press("t"), "[Route 35-57]"))
		s.until(s.press("q"), "build-")
	}
	for i := range n(1000) {
		keys = append(keys, s.until(s.press([]string{"j", "\x04", "j", "k"}[i%4]), ""))
	}
	most := number(l, fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid), `(?m)^VmHWM:\s+(\d+) kB`) / 1024
	s.close()
	l.prepare(l.cyclops(dir, "executor", "stop")) // that of this machine, which the screen shows too
	return []Row{
		{Work: fmt.Sprintf("screen: from start to the first of %d jobs, open link", jobs), Aim: "≤ 100 ms", Ours: first},
		{Work: fmt.Sprintf("screen: from a key to its frame, 99 %% of %d within", len(keys)), Aim: "≤ 16 ms", Ours: []float64{Quantile(keys, 0.99)}},
		{Work: "screen: a log of " + human.Size(int64(size)) + ", from key to its end", Aim: "≤ 100 ms", Ours: open},
		{Work: "screen: memory, at most", Unit: "MiB", Aim: "≤ 100 MB", Ours: []float64{most}},
	}
}

const longLine = "INFO: [Route 35-57] Estimated Timing Summary | WNS=0.134  | TNS=0.000  | WHS=-0.288 | THS=-215.5|"

// history writes the index of an executor that has run many jobs.
func (l *lab) history(data string, jobs int) {
	l.t.Helper()
	if err := os.MkdirAll(data, 0o700); err != nil {
		l.t.Fatal(err)
	}
	s, err := store.Open(l.t.Context(), layout.Data(data).Database())
	if err != nil {
		l.t.Fatal(err)
	}
	now := time.Now()
	err = s.Restore(l.t.Context(), func(yield func(store.Job, []byte) bool) {
		for i := range jobs {
			at := now.Add(-time.Duration(jobs-i) * time.Minute)
			j := store.Job{
				Seq: int64(i + 1), ID: manifest.NewID(), State: manifest.Succeeded, Priority: manifest.Normal, Workspace: "soc", Name: "build-" + strconv.Itoa(i%997),
				Accepted: at, Started: at, Ended: at.Add(50 * time.Second), ExitCode: new(int),
				About: store.About{Project: "soc", Owner: "ann", Command: "make bitstream", Mode: manifest.Kept},
			}
			if !yield(j, []byte("{}")) {
				return
			}
		}
	})
	if err = errors.Join(err, s.Close()); err != nil {
		l.t.Fatal(err)
	}
}

// screen is cyclops on a terminal of 120 by 40.
type screen struct {
	*lab
	cmd   *exec.Cmd
	tty   *os.File
	began time.Time
	wrote chan wrote
}

// wrote is something that was written to the terminal.
type wrote struct {
	at   time.Time
	data []byte
}

func (l *lab) screen(dir string) *screen {
	l.t.Helper()
	s := &screen{lab: l, cmd: l.cyclops(dir), wrote: make(chan wrote, 1024)}
	s.cmd.Env = append(s.cmd.Env, "TERM=xterm-256color", "TMUX=")
	s.began = time.Now()
	tty, err := pty.StartWithSize(s.cmd, &pty.Winsize{Rows: 40, Cols: 120})
	if err != nil {
		l.t.Fatal(err)
	}
	s.tty = tty
	go func() {
		defer close(s.wrote)
		for {
			buf := make([]byte, 64<<10)
			n, err := tty.Read(buf)
			if err != nil {
				return
			}
			s.wrote <- wrote{time.Now(), buf[:n]}
		}
	}()
	return s
}

func (s *screen) press(key string) time.Time {
	s.t.Helper()
	at := time.Now()
	if _, err := s.tty.WriteString(key); err != nil {
		s.t.Fatal(err)
	}
	return at
}

// quiet is how long nothing is written once a frame is whole.
const quiet = 30 * time.Millisecond

// until returns the milliseconds from a moment until text was written; it waits until the frame is whole.
func (s *screen) until(from time.Time, text string) float64 {
	s.t.Helper()
	var all []byte
	took, limit := -1.0, 20*time.Second
	for {
		select {
		case w, ok := <-s.wrote:
			if all = append(all, w.data...); !ok {
				s.t.Fatalf("the screen ended before it showed %q:\n%s", text, all)
			}
			if took < 0 && bytes.Contains(all, []byte(text)) {
				took, limit = float64(w.at.Sub(from).Microseconds())/1000, quiet
			}
		case <-time.After(limit):
			if took < 0 {
				s.t.Fatalf("the screen does not show %q:\n%s", text, strings.ToValidUTF8(string(all), "?"))
			}
			return took
		}
	}
}

func (s *screen) close() {
	s.t.Helper()
	s.press("q")
	for range s.wrote { // until the terminal is closed
	}
	if err := s.cmd.Wait(); err != nil {
		s.t.Fatal(err)
	}
	s.tty.Close()
}
