//go:build linux

package sshtest

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// session is a cat on the host, through ssh from the network's client.
type session struct {
	in    io.WriteCloser
	lines chan string
}

func openSession(t *testing.T, n *Net, s *Server) *session {
	t.Helper()
	c := n.Client(exec.Command("ssh", "-F", s.ConfigFile, "-o", "BatchMode=yes", s.Name, "echo $SSH_CONNECTION; cat"))
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	e := &session{in: in, lines: make(chan string, 10)}
	go func() {
		defer close(e.lines)
		for said := bufio.NewScanner(out); said.Scan(); {
			e.lines <- said.Text()
		}
	}()
	if from := <-e.lines; !strings.HasPrefix(from, n.Near+" ") {
		t.Fatalf("connected from %q", from)
	}
	return e
}

// says sends a line and tells whether one came back in time.
func (e *session) says(limit time.Duration) bool {
	fmt.Fprintln(e.in, "x")
	select {
	case line := <-e.lines:
		return line == "x"
	case <-time.After(limit):
		return false
	}
}

// Every way to cut must cut, tell TCP nothing, and let the same connection go on afterwards, which
// it does only when nobody was told.
func TestNetIsCutAndMended(t *testing.T) {
	t.Parallel()
	for name, q := range map[string]struct{ cut, mend func(*Net) }{
		"down":    {(*Net).Down, (*Net).Up},
		"silence": {(*Net).Silence, (*Net).Hear},
		"deaf":    {(*Net).Deafen, (*Net).Hear},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := NewNet(t)
			s := Start(t, Options{Net: n})
			e := openSession(t, n, s)
			if !e.says(5 * time.Second) {
				t.Fatal("the line does not work")
			}
			q.cut(n)
			if e.says(500 * time.Millisecond) {
				t.Error("the line works although it is cut")
			}
			q.mend(n)
			if !e.says(10 * time.Second) {
				t.Error("the line does not work again")
			}
		})
	}
}

func TestNetMoves(t *testing.T) {
	t.Parallel()
	n := NewNet(t)
	s := Start(t, Options{Net: n})
	e := openSession(t, n, s)
	n.Move()
	if e.says(500 * time.Millisecond) {
		t.Error("the connection from the old address works")
	}
	openSession(t, n, s)
}
