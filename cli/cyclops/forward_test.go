//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// echo is a service on the host, which is this machine: it answers in capitals what it was sent,
// when it has seen its end.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				data, _ := io.ReadAll(c)
				c.Write(bytes.ToUpper(data))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return l.Addr().String()
}

// ask sends text to addr and returns what comes back, each side ending by itself.
func ask(addr, text string) (string, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	io.WriteString(c, text)
	c.(*net.TCPConn).CloseWrite()
	data, err := io.ReadAll(c)
	return string(data), err
}

// gate submits a job that runs until the file that is returned is there.
func (u *client) gate(name string) (open func()) {
	u.t.Helper()
	path := filepath.Join(u.home, name)
	out := u.cyclops("", "submit", "--name", name, "-c", "while [ ! -e "+path+" ]; do sleep 0.02; done")
	if out.code != 0 {
		u.t.Fatal(out)
	}
	u.t.Cleanup(func() { os.WriteFile(path, nil, 0o600) })
	return func() {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			u.t.Error(err)
		}
	}
}

// forwarder is a cyclops that carries ports.
type forwarder struct {
	t     *testing.T
	cmd   *exec.Cmd
	ports []string
	lines chan string // of stderr, behind those that tell the ports
	ended sync.WaitGroup
}

var forwarding = regexp.MustCompile(`^forwarding (\S+) → \S+ on \S+ for job \S+$`)

// start runs cyclops until it has told ports addresses.
func (u *client) start(ports int, args ...string) *forwarder {
	u.t.Helper()
	f := &forwarder{t: u.t, cmd: exec.Command(filepath.Join(binaries, "cyclops"), args...), lines: make(chan string, 1000)}
	f.cmd.Dir, f.cmd.Env = u.tree, u.env
	stderr, err := f.cmd.StderrPipe()
	if err == nil {
		err = f.cmd.Start()
	}
	if err != nil {
		u.t.Fatal(err)
	}
	f.ended.Go(func() {
		for s := bufio.NewScanner(stderr); s.Scan(); {
			f.lines <- s.Text()
		}
		close(f.lines)
	})
	u.t.Cleanup(func() {
		f.cmd.Process.Kill()
		f.ended.Wait()
		f.cmd.Wait()
	})
	for len(f.ports) < ports {
		line := f.line()
		m := forwarding.FindStringSubmatch(line)
		if m == nil {
			u.t.Fatalf("it said %q", line)
		}
		f.ports = append(f.ports, m[1])
	}
	return f
}

func (f *forwarder) line() string {
	f.t.Helper()
	select {
	case line := <-f.lines:
		return line
	case <-time.After(30 * time.Second):
		f.t.Fatal("it says nothing more")
		return ""
	}
}

func (f *forwarder) exit() int {
	f.t.Helper()
	f.ended.Wait()
	f.cmd.Wait()
	return f.cmd.ProcessState.ExitCode()
}

func onBoth(t *testing.T, test func(t *testing.T, u *client)) {
	t.Parallel()
	t.Run("local", func(t *testing.T) {
		t.Parallel()
		test(t, newUser(t, nil))
	})
	t.Run("ssh", func(t *testing.T) {
		t.Parallel()
		test(t, newUser(t, sshtest.Start(t, sshtest.Options{Name: "lab", MaxSessions: 100, Extra: []string{"MaxStartups 100"}})))
	})
}

func TestForwardCarriesPortsUntilTheJobEnds(t *testing.T) {
	onBoth(t, func(t *testing.T, u *client) {
		to, open := echo(t), u.gate("job")
		f := u.start(2, "forward", "job", "0:"+to, "[::1]:0:"+to)
		if !strings.HasPrefix(f.ports[0], "127.0.0.1:") || !strings.HasPrefix(f.ports[1], "[::1]:") {
			t.Errorf("listens at %q", f.ports)
		}
		_, port, _ := net.SplitHostPort(f.ports[0])
		for _, at := range []string{f.ports[0], "[::1]:" + port, f.ports[1]} {
			if got, err := ask(at, "hello"); got != "HELLO" || err != nil {
				t.Errorf("%s answers %q, %v", at, got, err)
			}
		}
		manyAtOnce(t, f.ports[0])
		open()
		if code := f.exit(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		if _, err := net.Dial("tcp", f.ports[0]); err == nil {
			t.Error("the port is open still")
		}
		if out := u.cyclops("", "forward", "job", "0:"+to); out.code != 1 || !strings.Contains(out.stderr, "has ended") {
			t.Errorf("of an ended job: %v", out)
		}
	})
}

func manyAtOnce(t *testing.T, addr string) {
	t.Helper()
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			text := strings.Repeat(rand.Text(), 5000)
			if got, err := ask(addr, strings.ToLower(text)); err != nil || got != text {
				t.Errorf("%d bytes came back, %v", len(got), err)
			}
		})
	}
	all.Wait()
}

func TestRunCarriesPortsWhileItsJobRuns(t *testing.T) {
	onBoth(t, func(t *testing.T, u *client) {
		to, gate := echo(t), filepath.Join(u.home, "gate")
		f := u.start(1, "run", "-L", "0:"+to, "-c", "while [ ! -e "+gate+" ]; do sleep 0.02; done; exit 3")
		if got, err := ask(f.ports[0], "hello"); got != "HELLO" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		taken, _, _ := strings.Cut(strings.TrimPrefix(f.ports[0], "127.0.0.1:"), " ")
		if out := u.cyclops("", "run", "--name", "never", "-L", taken+":localhost:1", "--", "true"); out.code != 125 || !strings.Contains(out.stderr, "is in use") {
			t.Errorf("a port that is taken: %v", out)
		}
		if out := u.cyclops("", "show", "never"); out.code != 1 {
			t.Errorf("the job was sent all the same: %v", out)
		}
		if err := os.WriteFile(gate, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if code := f.exit(); code != 3 {
			t.Errorf("exit code %d", code)
		}
		for line := range f.lines {
			t.Errorf("it said %q too", line)
		}
	})
}

func TestForwardWaitsForAQueuedJob(t *testing.T) {
	onBoth(t, func(t *testing.T, u *client) {
		to, first := echo(t), u.gate("first")
		second := u.gate("second")
		f := u.start(1, "forward", "second", "0:"+to)
		if line := f.line(); !strings.Contains(line, "is queued: connections wait until it runs") {
			t.Errorf("it said %q", line)
		}
		answer := make(chan string)
		go func() {
			got, _ := ask(f.ports[0], "hello")
			answer <- got
		}()
		select {
		case got := <-answer:
			t.Errorf("%q came before the job ran", got)
		case <-time.After(200 * time.Millisecond):
		}
		first()
		if got := <-answer; got != "HELLO" {
			t.Errorf("got %q", got)
		}
		second()
		f.exit()
	})
}

func TestForwardSaysWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	open := u.gate("job")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if out := u.cyclops("", "forward", "job", port+":localhost:1"); out.code != 1 ||
		out.stderr != "cyclops: port "+port+" of this machine is in use\nhint: choose another, or 0 for one that is free: 0:localhost:1\n" {
		t.Errorf("got %v", out)
	}
	f := u.start(1, "forward", "job", "0:127.0.0.1:1")
	for range 2 { // the reason is said once
		if _, err := ask(f.ports[0], "x"); err == nil {
			t.Error("somebody answered at port 1")
		}
	}
	if line := f.line(); !strings.HasPrefix(line, "cyclops: no connection to 127.0.0.1:1: nothing listens at 127.0.0.1:1 on ") {
		t.Errorf("it said %q", line)
	}
	f.cmd.Process.Signal(syscall.SIGINT)
	if code := f.exit(); code != 130 {
		t.Errorf("exit code %d", code)
	}
	if line, more := <-f.lines; more {
		t.Errorf("it said %q too", line)
	}
	open()
}

// A line that breaks takes the connections that are open with it, and nothing else.
func TestForwardGoesOnWhenTheLineIsBack(t *testing.T) {
	t.Parallel()
	server := sshtest.Start(t, sshtest.Options{Name: "lab"})
	u := newUser(t, server)
	to, open := echo(t), u.gate("job")
	f := u.start(1, "forward", "job", "0:"+to)
	c, err := net.Dial("tcp", f.ports[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := ask(f.ports[0], "before"); got != "BEFORE" {
		t.Fatal(got, err)
	}
	server.Drop()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if got, err := io.ReadAll(c); len(got) > 0 || os.IsTimeout(err) {
		t.Errorf("what was open got %q, %v", got, err)
	}
	if got, err := ask(f.ports[0], "after"); got != "AFTER" {
		t.Errorf("got %q, %v", got, err)
	}
	open()
	if code := f.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A line that is lost is told as every command tells it.
func TestForwardSaysThatContactIsLost(t *testing.T) {
	t.Parallel()
	server := sshtest.Start(t, sshtest.Options{Name: "lab", MaxSessions: 100, Extra: []string{"MaxStartups 100"}})
	line := server.Cutter()
	u := newUser(t, server)
	u.env = append(u.env, "CYCLOPS_SSH_CONFIG="+line.ConfigFile)
	to, open := echo(t), u.gate("job")
	f := u.start(1, "forward", "job", "0:"+to)
	if got, err := ask(f.ports[0], "hello"); got != "HELLO" || err != nil {
		t.Errorf("it answers %q, %v", got, err)
	}
	line.Down()
	if got := f.line(); got != "cyclops: lost contact with lab; trying again" {
		t.Errorf("it says %q", got)
	}
	line.Up()
	if got := f.line(); !strings.HasPrefix(got, "cyclops: contact with lab is back after ") {
		t.Errorf("it says %q", got)
	}
	open()
	if code := f.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
