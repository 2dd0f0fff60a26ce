//go:build failpoints && linux

package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/daemon"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// patience bounds every command: one that takes longer hangs.
const patience = 90 * time.Second

// world is one user with a home, and one host with a data directory, and all that is known of them
// from outside: what commands said, what the jobs' tools wrote into the ledger, which faults struck.
type world struct {
	binary  string
	dir     string
	data    layout.Data
	ledger  string
	strikes string // the log of faults
	env     []string
	remote  bool // the host is reached over SSH

	mu       sync.Mutex
	jobs     []*told
	gates    []string
	problems []string
	said     []string        // errors that commands told, for the report
	killed   map[string]bool // ids of jobs whose supervisor was killed
	unknown  int             // supervisors that were killed before it was known whose
	paused   time.Duration   // how long a paused process stays so
}

// newWorld makes an empty world; server nil is host local.
func newWorld(t testing.TB, server *sshtest.Server) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "cx") // short: sockets lie below
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		binary: binary(t), dir: dir, data: layout.Data(filepath.Join(dir, "d")), ledger: filepath.Join(dir, "ledger"),
		strikes: filepath.Join(dir, "strikes"), remote: server != nil, killed: map[string]bool{}, paused: settings().pause,
	}
	t.Cleanup(func() { w.end(t) })
	for _, sub := range []string{"run", "tmp", "d/bin", ".config/cyclops", "gates"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w.env = []string{
		"HOME=" + dir, "XDG_RUNTIME_DIR=" + filepath.Join(dir, "run"), "XDG_CONFIG_HOME=" + filepath.Join(dir, ".config"),
		"XDG_STATE_HOME=" + filepath.Join(dir, ".state"), "XDG_CACHE_HOME=" + filepath.Join(dir, ".cache"), "SHELL=/bin/sh",
		"TMPDIR=" + filepath.Join(dir, "tmp"), "PATH=" + os.Getenv("PATH"), "CYCLOPS_DATA=" + string(w.data), failpoint.LogVariable + "=" + w.strikes,
	}
	if server != nil {
		w.over(t, server)
	}
	return w
}

// over makes server the host.
func (w *world) over(t testing.TB, server *sshtest.Server) {
	t.Helper()
	w.env = append(w.env, "CYCLOPS_SSH_CONFIG="+server.ConfigFile)
	config := fmt.Sprintf("host = %q\n[hosts.%s]\ndata = %q\nlink_idle = \"5s\"\n", server.Name, server.Name, w.data)
	err := errors.Join(os.Symlink(w.binary, filepath.Join(w.data.Bin(), "current")),
		os.WriteFile(filepath.Join(w.dir, ".config", "cyclops", "config.toml"), []byte(config), 0o600))
	if err != nil {
		t.Fatal(err)
	}
}

// end ends every process of the world and removes it.
func (w *world) end(t testing.TB) {
	for range 100 {
		procs := w.processes()
		if len(procs) == 0 {
			break
		}
		for _, p := range procs {
			_ = syscall.Kill(p.pid, syscall.SIGKILL)
		}
		time.Sleep(5 * time.Millisecond) // what is not our child tells nobody of its end
	}
	if t.Failed() && os.Getenv("CHAOS_KEEP") != "" {
		t.Logf("kept: %s", w.dir)
		return
	}
	_ = exec.Command("chmod", "-R", "u+w", w.dir).Run()
	_ = os.RemoveAll(w.dir)
}

// wrong notes that a promise was broken.
func (w *world) wrong(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

// result is how a command ended.
type result struct {
	args   []string
	stdout string
	stderr string
	code   int // -1: by a signal
	killed bool
}

func (r *result) String() string {
	return fmt.Sprintf("cyclops %s: code %d, stderr %q", strings.Join(r.args, " "), r.code, r.stderr)
}

// command is one that is under way.
type command struct {
	w      *world
	cmd    *exec.Cmd
	stdout bytes.Buffer
	stderr bytes.Buffer
	ended  chan struct{}
	result result
}

// start starts cyclops in a directory, with faults if armed is not empty.
func (w *world) start(dir, armed string, args ...string) *command {
	c := &command{w: w, cmd: exec.Command(w.binary, args...), ended: make(chan struct{})}
	c.cmd.Dir, c.cmd.Env, c.cmd.Stdout, c.cmd.Stderr = dir, w.env, &c.stdout, &c.stderr
	c.cmd.WaitDelay = 5 * time.Second
	if armed != "" {
		c.cmd.Env = append(slices.Clone(w.env), failpoint.Variable+"="+armed)
	}
	c.result.args = args
	if err := c.cmd.Start(); err != nil {
		w.wrong("unable to start cyclops: %v", err)
		close(c.ended)
		return c
	}
	go c.wait()
	return c
}

func (c *command) wait() {
	defer close(c.ended)
	hung := time.AfterFunc(patience, func() {
		c.w.wrong("cyclops %s hangs", strings.Join(c.result.args, " "))
		_ = c.cmd.Process.Signal(syscall.SIGQUIT) // it says where
	})
	_ = c.cmd.Wait()
	hung.Stop()
	c.result.stdout, c.result.stderr = c.stdout.String(), c.stderr.String()
	c.result.code = c.cmd.ProcessState.ExitCode()
	if status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
		c.result.killed = status.Signaled() && status.Signal() == syscall.SIGKILL
	}
	c.w.explained(&c.result)
}

func (c *command) finish() *result {
	<-c.ended
	return &c.result
}

// cyclops runs one command to its end in the user's first tree.
func (w *world) cyclops(args ...string) *result { return w.start(w.tree(0), "", args...).finish() }

// must is for a command of which nothing is broken.
func (w *world) must(args ...string) *result {
	r := w.cyclops(args...)
	if r.code != 0 {
		w.wrong("nothing is broken, and still: %v", r)
	}
	return r
}

// daemon starts an executor with faults, as whoever calls first does. It may fail: the faults may be
// in its start.
func (w *world) daemon(armed string) {
	w.start(w.dir, armed, "executor", "dial", "--data", string(w.data)).finish()
}

// stopDaemon ends the executor that runs, if any, and is back when it is gone.
func (w *world) stopDaemon() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := daemon.Stop(ctx, w.data); err != nil {
		w.note("stop: %v", err)
	}
}

// strikesOf lists the processes that a fault struck.
func (w *world) strikesOf(point failpoint.Point, fault string) (pids []int) {
	log, _ := os.ReadFile(w.strikes)
	for line := range strings.Lines(string(log)) {
		var at int64
		var pid int
		var p, f string
		if n, _ := fmt.Sscan(line, &at, &pid, &p, &f); n == 4 && p == string(point) && f == fault {
			pids = append(pids, pid)
		}
	}
	return pids
}

// eventually is for what no event tells: the state of a file or of another's process.
func eventually(limit time.Duration, done func() bool) bool {
	for end := time.Now().Add(limit); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
