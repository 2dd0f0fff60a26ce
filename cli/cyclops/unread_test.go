//go:build linux

package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// waiting tells how much may be read at the other end of what a command writes to.
func waiting(t *testing.T, f *os.File) int {
	t.Helper()
	n, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCINQ)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A command whose output nobody reads can be left all the same, and attach goes on at the byte
// that was the last to be written.
func TestDetachWithOutputUnread(t *testing.T) {
	t.Parallel()
	u := terminalUser(t)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd, _, stderr := u.piped("run", "--", "sh", "-c", "seq 400000; while [ ! -e "+filepath.Join(u.home, "go")+" ]; do sleep 0.05; done")
	cmd.Stdout = in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	eventually(t, "a full pipe", func() bool { return waiting(t, out) > 60_000 })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := time.AfterFunc(soon, func() { _ = cmd.Process.Kill() })
	if code := exitCodeOf(cmd.Wait()); code != 128+15 || !strings.Contains(stderr.String(), "goes on") {
		t.Fatalf("code %d, %s", code, stderr)
	}
	ended.Stop()
	shown, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(u.home, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	rest := u.cyclops("", "attach", "@1")
	all := string(shown) + rest.stdout
	if want := u.cyclops("", "logs", "@1").stdout; all != want || len(want) < 2_000_000 || rest.code != 0 {
		t.Errorf("%d and %d bytes were shown, the log has %d", len(shown), len(rest.stdout), len(want))
	}
}

// So does logs -f.
func TestLogsWithOutputUnread(t *testing.T) {
	t.Parallel()
	u := terminalUser(t)
	u.cyclops("", "run", "--", "seq", "400000")
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd, _, _ := u.piped("logs", "-f", "@1")
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	eventually(t, "a full pipe", func() bool { return waiting(t, out) > 60_000 })
	_ = cmd.Process.Signal(os.Interrupt)
	ended := time.AfterFunc(soon, func() { _ = cmd.Process.Kill() })
	if code := exitCodeOf(cmd.Wait()); code != 128+2 {
		t.Errorf("code %d", code)
	}
	ended.Stop()
}

// A terminal that nobody reads is given back, whoever asks for it.
func TestLeaveTerminalUnread(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]struct {
		do   func(cmd *os.Process, master *os.File) error
		code int
	}{
		"SIGTERM":     {func(p *os.Process, _ *os.File) error { return p.Signal(syscall.SIGTERM) }, 128 + 15},
		"detach keys": {func(_ *os.Process, master *os.File) error { _, err := master.WriteString(detach); return err }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := terminalUser(t)
			master, tty, err := pty.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer master.Close()
			defer tty.Close()
			c := &console{t: t, u: u, master: master, tty: tty}
			c.before = c.settings()
			cmd, _, _ := u.piped("run", "--", "sh", "-c", "seq 400000; sleep 600")
			cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := time.AfterFunc(soon, func() { _ = cmd.Process.Kill() })
			defer ended.Stop()
			eventually(t, "a full terminal", func() bool { return waiting(t, master) > 4000 })
			if err := end.do(cmd.Process, master); err != nil {
				t.Fatal(err)
			}
			if code := exitCodeOf(cmd.Wait()); code != end.code {
				t.Errorf("code %d, want %d", code, end.code)
			}
			c.settle(false)
		})
	}
}

// Ctrl-S keeps what is written to a terminal, and no signal from ending the command.
func TestLeaveFrozenTerminal(t *testing.T) {
	t.Parallel()
	u := terminalUser(t)
	c := u.console("run", "-T", "--", "sh", "-c", "while :; do seq 1000; sleep 0.01; done")
	c.expect("1000\r\n")
	c.send("\x13")
	length := 0
	eventually(t, "silence", func() bool {
		time.Sleep(300 * time.Millisecond) // what is on its way arrives
		before := length
		length = len(c.text())
		return before == length
	})
	c.signal(syscall.SIGTERM)
	if code := c.exit(); code != 128+15 {
		t.Errorf("exit code %d", code)
	}
}
