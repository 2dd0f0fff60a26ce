//go:build linux

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// soon bounds every wait of a test for something that should be there at once.
const soon = 120 * time.Second

// console is a terminal with a program on it. It stays when the program goes.
type console struct {
	t      *testing.T
	u      *client
	master *os.File
	tty    *os.File
	before unix.Termios
	cmd    *exec.Cmd

	hungUp atomic.Bool
	unread chan struct{} // closed once nobody reads

	mu      sync.Mutex
	changed chan struct{} // closed and made anew with each change
	out     []byte
	seen    int // how much of out expect has passed
	ended   bool
}

// console starts cyclops on a terminal of 30 rows and 90 columns.
func (u *client) console(args ...string) *console {
	return u.consoleOf(exec.Command(filepath.Join(binaries, "cyclops"), args...))
}

func (u *client) consoleOf(cmd *exec.Cmd) *console {
	u.t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		u.t.Fatal(err)
	}
	c := &console{t: u.t, u: u, master: master, tty: tty, cmd: cmd, changed: make(chan struct{}), unread: make(chan struct{})}
	if err := pty.Setsize(master, &pty.Winsize{Rows: 30, Cols: 90}); err != nil {
		u.t.Fatal(err)
	}
	c.before = c.settings()
	cmd.Dir, cmd.Env = u.tree, slices.Concat(u.env, []string{"TERM=xterm-256color"})
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	go c.read()
	go func() {
		_ = cmd.Wait()
		c.change(func() { c.ended = true })
	}()
	u.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		c.await("the end of the program", func() bool { return c.ended })
		c.hangUp()
	})
	return c
}

// read ends with hangUp: a Read that waits would keep the terminal open.
func (c *console) read() {
	defer close(c.unread)
	fd, buf := int(c.master.Fd()), make([]byte, 32<<10)
	for !c.hungUp.Load() {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 20)
		if ready <= 0 || err != nil {
			continue
		}
		n, err := unix.Read(fd, buf)
		if err != nil {
			return
		}
		c.change(func() { c.out = append(c.out, buf[:n]...) })
	}
}

// hangUp closes the terminal, as a window that is closed does.
func (c *console) hangUp() {
	if c.hungUp.Swap(true) {
		return
	}
	<-c.unread
	c.tty.Close()
	c.master.Close()
}

func (c *console) change(what func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	what()
	close(c.changed)
	c.changed = make(chan struct{})
}

// await waits until done, which is called with the lock held.
func (c *console) await(what string, done func() bool) {
	c.t.Helper()
	limit := time.After(soon)
	for {
		c.mu.Lock()
		ok, changed, out := done(), c.changed, c.out
		c.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-limit:
			c.t.Fatalf("%s did not come; there is\n%q", what, out)
		}
	}
}

// expect waits for text behind what was expected before.
func (c *console) expect(text string) {
	c.t.Helper()
	c.await(text, func() bool {
		i := bytes.Index(c.out[c.seen:], []byte(text))
		if i >= 0 {
			c.seen += i + len(text)
		}
		return i >= 0
	})
}

// exit waits for the end and returns the exit code, or minus the signal.
func (c *console) exit() int {
	c.t.Helper()
	c.await("the end of the program", func() bool { return c.ended })
	status := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return -int(status.Signal())
	}
	return status.ExitStatus()
}

func (c *console) send(text string) {
	c.t.Helper()
	if _, err := c.master.WriteString(text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *console) signal(s syscall.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

func (c *console) settings() unix.Termios {
	c.t.Helper()
	s, err := unix.IoctlGetTermios(int(c.tty.Fd()), unix.TCGETS)
	if err != nil {
		c.t.Fatal(err)
	}
	return *s
}

// settle waits until the terminal is raw, or as it was.
func (c *console) settle(raw bool) {
	c.t.Helper()
	eventually(c.t, "the terminal's settings", func() bool {
		if raw {
			return c.settings().Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) == 0
		}
		return c.settings() == c.before
	})
}

// eventually is for what no event tells: the state of a file, a process, a terminal.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for limit := time.Now().Add(soon); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%s did not come", what)
		}
	}
}

func (c *console) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.out)
}

var jobID = regexp.MustCompile(`\b[a-z2-7]{16}\b`)

// latest returns the id of the user's newest job.
func (u *client) latest() string {
	u.t.Helper()
	out := u.cyclops("", "show", "@1").stdout
	id := jobID.FindString(out)
	if id == "" {
		u.t.Fatalf("no id in %q", out)
	}
	return id
}

// state returns the state of a job.
func (u *client) state(id string) string {
	u.t.Helper()
	for line := range strings.Lines(u.cyclops("", "show", id).stdout) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name == "state" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// piped starts cyclops on pipes; the caller waits for it.
func (u *client) piped(args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd = exec.Command(filepath.Join(binaries, "cyclops"), args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = u.tree, u.env, stdout, stderr
	return cmd, stdout, stderr
}

// readable is piped for a caller who reads stdout while it is written.
func (u *client) readable(args ...string) (cmd *exec.Cmd, stdout io.Reader, stderr *bytes.Buffer) {
	u.t.Helper()
	cmd, _, stderr = u.piped(args...)
	cmd.Stdout = nil
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		u.t.Fatal(err)
	}
	return cmd, stdout, stderr
}

func exitCodeOf(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}
