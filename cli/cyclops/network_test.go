//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// What a person is promised: a dead line is noticed, and it is used again once it is back.
const (
	noticed = 5 * time.Second
	resumed = 2 * time.Second
)

// slack is what the machine that tests may add to a promise: half again with the race detector.
func slack(d time.Duration) time.Duration {
	if len(raceFlag) > 0 {
		return d + d/2
	}
	return d + d/10
}

// stamped keeps what is written to it and when it grew.
type stamped struct {
	mu    sync.Mutex
	text  bytes.Buffer
	last  time.Time
	grown chan struct{} // closed and made anew by each write
}

func newStamped() *stamped { return &stamped{grown: make(chan struct{})} }

func (s *stamped) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	close(s.grown)
	s.grown = make(chan struct{})
	return s.text.Write(p)
}

func (s *stamped) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// until waits for enough to say yes, and returns how long that took.
func (s *stamped) until(t *testing.T, what string, limit time.Duration, enough func(text string) bool) time.Duration {
	t.Helper()
	start := time.Now()
	slow := time.NewTimer(limit)
	defer slow.Stop()
	for {
		s.mu.Lock()
		grown, text := s.grown, s.text.String()
		s.mu.Unlock()
		if enough(text) {
			return time.Since(start)
		}
		select {
		case <-grown:
		case <-slow.C:
			t.Fatalf("%s: not within %v; there is %d bytes: %.500q", what, limit, len(text), tailOf(text))
		}
	}
}

func tailOf(text string) string { return text[max(0, len(text)-500):] }

// under is a command that is under way.
type under struct {
	cmd            *exec.Cmd
	stdout, stderr *stamped
}

func start(t *testing.T, c *exec.Cmd) *under {
	t.Helper()
	r := &under{cmd: c, stdout: newStamped(), stderr: newStamped()}
	c.Stdout, c.Stderr = r.stdout, r.stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	return r
}

func (r *under) wait() outcome {
	_ = r.cmd.Wait()
	return outcome{r.stdout.String(), r.stderr.String(), r.cmd.ProcessState.ExitCode()}
}

// counting is a job that says n lines, twenty a second, and ends with code 7.
func counting(n int) (argv []string, says string) {
	line := fmt.Sprintf("i=0; while [ $i -lt %d ]; do echo line $i; i=$((i+1)); sleep 0.05; done; exit 7", n)
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return []string{"sh", "-c", line}, b.String()
}

// away is a user whose host is at the other end of a real cable.
type away struct {
	*client
	net    *sshtest.Net
	server *sshtest.Server
}

func newAway(t *testing.T) *away {
	t.Helper()
	n := sshtest.NewNet(t)
	server := sshtest.Start(t, sshtest.Options{Name: "lab", Net: n})
	a := &away{client: newUser(t, server), net: n, server: server}
	a.write("cyclops.toml", "name = \"away\"\n", 0o644)
	return a
}

// start runs cyclops on the client's side of the network.
func (a *away) start(args ...string) *under {
	a.t.Helper()
	return start(a.t, a.net.Client(a.command(args...)))
}

// executor is the process of the daemon.
func (a *away) executor() int {
	a.t.Helper()
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		line, _ := os.ReadFile(name)
		words := strings.Split(string(line), "\x00")
		if slices.Contains(words, "serve") && bytes.Contains(line, []byte(a.home)) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			return pid
		}
	}
	a.t.Fatal("no executor runs")
	return 0
}

// TestRunSurvivesItsNetwork has a run's log stream while the line to the host fails in every way
// that it can: it must be noticed and said in time, resumed in time, and not a byte may differ.
// The long form cuts for minutes.
func TestRunSurvivesItsNetwork(t *testing.T) {
	t.Parallel()
	cut, lines := 8*time.Second, 200
	if long() {
		cut, lines = 3*time.Minute, 4000
	}
	for name, q := range map[string]struct {
		cut   func(*away)
		mend  func(*away)
		after time.Duration // until mend
		quick bool          // back so soon that there may be nothing to say
	}{
		"interface down":          {cut: func(a *away) { a.net.Down() }, mend: func(a *away) { a.net.Up() }, after: cut},
		"silence":                 {cut: func(a *away) { a.net.Silence() }, mend: func(a *away) { a.net.Hear() }, after: cut},
		"half-open":               {cut: func(a *away) { a.net.Deafen() }, mend: func(a *away) { a.net.Hear() }, after: cut},
		"another address":         {cut: func(a *away) { a.net.Move() }, mend: func(*away) {}, quick: true},
		"sshd restarted":          {cut: func(a *away) { a.server.Down() }, mend: func(a *away) { a.server.Up() }, after: 3 * time.Second},
		"connections dropped":     {cut: func(a *away) { a.server.Drop() }, mend: func(*away) {}, quick: true},
		"executor killed":         {cut: func(a *away) { _ = syscall.Kill(a.executor(), syscall.SIGKILL) }, mend: func(*away) {}, quick: true},
		"link killed":             {cut: func(a *away) { a.killLink() }, mend: func(*away) {}, quick: true},
		"silence, then no server": {cut: func(a *away) { a.net.Silence() }, mend: func(a *away) { a.server.Down(); a.net.Hear(); a.server.Up() }, after: cut},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAway(t)
			argv, says := counting(lines)
			r := a.start(append([]string{"run", "--"}, argv...)...)
			r.stdout.until(t, "the run begins", time.Minute, func(s string) bool { return strings.Contains(s, "line 20\n") })
			q.cut(a)
			from := time.Now()
			if !q.quick {
				took := r.stderr.until(t, "the loss is said", noticed*3, func(s string) bool { return strings.Contains(s, "lost contact with lab") })
				if took > slack(noticed) {
					t.Errorf("said after %v, which is more than %v", took, noticed)
				}
				time.Sleep(time.Until(from.Add(q.after)))
			}
			had, limit := len(r.stdout.String()), resumed
			if q.quick {
				had, limit = had+400, noticed+resumed // what was on its way, and two seconds of the job
			}
			q.mend(a)
			took := r.stdout.until(t, "the log goes on", time.Minute, func(s string) bool { return len(s) > had })
			if took > slack(limit) {
				t.Errorf("resumed after %v, which is more than %v", took, limit)
			}
			t.Logf("resumed after %v", took.Round(time.Millisecond))
			got := r.wait()
			got.stderr = withoutNotices(got.stderr)
			if want := (outcome{says, "", 7}); got != want {
				t.Errorf("got %v\nwant %v", got, want)
			}
		})
	}
}

// killLink ends the background process that holds the connection.
func (a *away) killLink() {
	a.t.Helper()
	names, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, name := range names {
		env, _ := os.ReadFile(name)
		line, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
		words := strings.Split(string(line), "\x00")
		if len(words) > 1 && words[1] == "link" && bytes.Contains(env, []byte("HOME="+a.home+"\x00")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			_ = syscall.Kill(pid, syscall.SIGKILL)
			return
		}
	}
	a.t.Fatal("no link runs")
}

// A cut that is longer than the user's patience ends the run, not the job; attach has the rest,
// from the byte on where the screen stopped.
func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	a := newAway(t)
	argv, says := counting(160)
	r := a.start(append([]string{"run", "--patience", "2s", "--"}, argv...)...)
	r.stdout.until(t, "the run begins", time.Minute, func(s string) bool { return strings.Contains(s, "line 20\n") })
	a.net.Silence()
	from := time.Now()
	first := r.wait()
	if took := time.Since(from); first.code != 255 || took > slack(noticed+2*time.Second) {
		t.Errorf("after %v: %v", took, first)
	}
	if said := withoutNotices(first.stderr); !strings.HasPrefix(said, "cyclops: ") || !strings.Contains(said, "cyclops attach ") {
		t.Errorf("said %q", first.stderr)
	}
	a.net.Hear()
	second := a.start("attach", "@1").wait()
	second.stderr = withoutNotices(second.stderr)
	if first.stdout+second.stdout != says || second.code != 7 {
		t.Errorf("run had %d bytes up to %q; attach %v", len(first.stdout), lastLineOf(first.stdout), second)
	}
}

func lastLineOf(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// Input that is sent while the line is away must arrive once, in order, with its end.
func TestInputSurvivesTheNetwork(t *testing.T) {
	t.Parallel()
	a := newAway(t)
	c := a.net.Client(a.command("run", "--", "sh", "-c", "echo ready; cat"))
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, c)
	r.stdout.until(t, "the run begins", time.Minute, func(s string) bool { return s == "ready\n" })
	var says strings.Builder
	says.WriteString("ready\n")
	send := func(n int) {
		for range n {
			line := fmt.Sprintf("%d %s\n", says.Len(), strings.Repeat("x", 1000))
			says.WriteString(line)
			if _, err := in.Write([]byte(line)); err != nil {
				t.Error(err)
			}
		}
	}
	send(10)
	a.net.Silence()
	send(30) // less than what is let through without an acknowledgement
	r.stderr.until(t, "the loss is said", noticed*3, func(s string) bool { return strings.Contains(s, "lost contact with lab") })
	a.net.Hear()
	send(100)
	in.Close()
	got := r.wait()
	got.stderr = withoutNotices(got.stderr)
	if want := (outcome{says.String(), "", 0}); got != want {
		t.Errorf("got %v\nwant %v", got, want)
	}
}
