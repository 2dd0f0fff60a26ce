//go:build linux

package sshtest

import (
	"bytes"
	"io"
	"net"
	"os/exec"
	"testing"
	"time"
)

// echoes is a server that gives back what it gets.
func echoes(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

func dialed(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// answers sends a word and waits for it to come back.
func answers(c net.Conn, limit time.Duration) error {
	if _, err := c.Write([]byte("word")); err != nil {
		return err
	}
	_ = c.SetReadDeadline(time.Now().Add(limit))
	_, err := io.ReadFull(c, make([]byte, 4))
	return err
}

func TestCutterResets(t *testing.T) {
	t.Parallel()
	c := NewCutter(t, echoes(t))
	a := dialed(t, c.Addr)
	if err := answers(a, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	if n := c.Reset(); n != 1 {
		t.Errorf("%d connections were reset, want 1", n)
	}
	if err := answers(a, 5*time.Second); err == nil {
		t.Error("a connection answers after its reset")
	}
	if err := answers(dialed(t, c.Addr), 5*time.Second); err != nil {
		t.Errorf("a new connection after a reset: %v", err)
	}
}

func TestCutterFreezesAndLosesNothing(t *testing.T) {
	t.Parallel()
	c := NewCutter(t, echoes(t))
	a := dialed(t, c.Addr)
	if err := answers(a, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	c.Freeze()
	if err := answers(a, 100*time.Millisecond); err == nil {
		t.Error("a frozen connection answers")
	}
	if err := answers(dialed(t, c.Addr), 100*time.Millisecond); err == nil {
		t.Error("a new connection answers while the line is frozen")
	}
	c.Thaw()
	_ = a.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadFull(a, make([]byte, 4)); err != nil {
		t.Errorf("what was sent meanwhile: %v", err)
	}
}

func TestCutterGoesDownAndUp(t *testing.T) {
	t.Parallel()
	c := NewCutter(t, echoes(t))
	c.Down()
	if a, err := net.Dial("tcp", c.Addr); err == nil {
		defer a.Close()
		if err := answers(a, 5*time.Second); err == nil {
			t.Error("a line that is down answers")
		}
	}
	c.Up()
	if err := answers(dialed(t, c.Addr), 5*time.Second); err != nil {
		t.Errorf("after Up: %v", err)
	}
}

func TestCutterCutsAtAByte(t *testing.T) {
	t.Parallel()
	c := NewCutter(t, echoes(t))
	a := dialed(t, c.Addr)
	c.OnBytes(100<<10, func() { c.Reset() })
	go func() { _, _ = a.Write(bytes.Repeat([]byte("x"), 1<<20)) }()
	_ = a.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, _ := io.Copy(io.Discard, a)
	if n >= 100<<10 || c.Bytes() < 100<<10 {
		t.Errorf("%d bytes came back of %d that went through", n, c.Bytes())
	}
	if c.Accepted() != 1 {
		t.Errorf("%d connections", c.Accepted())
	}
}

func TestLogsInThroughACutter(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	c := s.Cutter()
	out, err := exec.Command("ssh", "-F", c.ConfigFile, "-o", "BatchMode=yes", s.Name, "echo through").CombinedOutput()
	if err != nil || string(out) != "through\n" || c.Bytes() == 0 {
		t.Errorf("%v: %q, %d bytes went through the line", err, out, c.Bytes())
	}
}
