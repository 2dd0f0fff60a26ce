//go:build linux

package term

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

type line struct {
	text string
	err  error
}

// asked is a terminal on which a question stands.
func asked(ctx context.Context, t *testing.T, echo bool) (master, tty *os.File, answer <-chan line) {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		master.Close()
		tty.Close()
	})
	lines := make(chan line, 1)
	go func() {
		text, err := ReadLine(ctx, tty, echo)
		lines <- line{text, err}
	}()
	return master, tty, lines
}

func echoes(t *testing.T, tty *os.File) bool {
	t.Helper()
	s, err := settingsOf(tty)
	if err != nil {
		t.Fatal(err)
	}
	return s.Lflag&unix.ECHO != 0
}

func awaitHidden(t *testing.T, tty *os.File) {
	t.Helper()
	for limit := time.Now().Add(10 * time.Second); echoes(t, tty); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("it still echoes")
		}
	}
}

func TestReadLine(t *testing.T) {
	t.Parallel()
	for _, echo := range []bool{true, false} {
		master, tty, answer := asked(t.Context(), t, echo)
		if !echo {
			awaitHidden(t, tty)
		}
		if _, err := master.WriteString(" my answer\nnext\n"); err != nil {
			t.Fatal(err)
		}
		if got := <-answer; got.text != " my answer" || got.err != nil {
			t.Errorf("echo %v: %q, %v", echo, got.text, got.err)
		}
		if !echoes(t, tty) {
			t.Error("it does not echo any more")
		}
		buf := make([]byte, 100)
		if n, err := tty.Read(buf); string(buf[:n]) != "next\n" || err != nil {
			t.Errorf("%q is left, %v", buf[:n], err)
		}
	}
}

// A question that is given up takes nothing of what is typed then, and leaves the terminal as it was.
func TestReadLineGivenUp(t *testing.T) {
	t.Parallel()
	reason := errors.New("the line is back")
	for _, echo := range []bool{true, false} {
		ctx, cancel := context.WithCancelCause(t.Context())
		master, tty, answer := asked(ctx, t, echo)
		if !echo {
			awaitHidden(t, tty)
		}
		cancel(reason)
		if got := <-answer; !errors.Is(got.err, reason) {
			t.Errorf("echo %v: %q, %v", echo, got.text, got.err)
		}
		if !echoes(t, tty) {
			t.Error("it does not echo any more")
		}
		if _, err := master.WriteString("mine\n"); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		if n, err := tty.Read(buf); string(buf[:n]) != "mine\n" || err != nil {
			t.Errorf("%q is left, %v", buf[:n], err)
		}
	}
}
