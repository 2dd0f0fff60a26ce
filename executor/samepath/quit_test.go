//go:build linux

package samepath

import (
	"io"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAKeyThatQuitsEndsTheEnteringProcessAsATool(t *testing.T) {
	t.Parallel()
	asEveryone(t, func(t *testing.T) {
		b := newBench(t, missing(t.TempDir()))
		p, err := New(b.req)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		for range 10 {
			out, status := b.quitAtOnce(p)
			if !status.Signaled() || status.Signal() != unix.SIGQUIT || out != "" {
				t.Fatalf("status %x, output %.200q", status, out)
			}
		}
	})
}

// quitAtOnce starts a step and sends it SIGQUIT before it can have begun.
func (b *bench) quitAtOnce(p *Place) (string, unix.WaitStatus) {
	b.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	start, err := p.Wrap([]string{"cyclopsd", "executor"}, Step{Argv: []string{"sleep", "9"}, Env: []string{"PATH=" + os.Getenv("PATH")}},
		&syscall.ProcAttr{Files: []uintptr{r.Fd(), w.Fd(), w.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true}})
	if err != nil {
		b.Fatal(err)
	}
	defer start.Close()
	var pid int
	if err := Held(func() error { pid, err = syscall.ForkExec(start.File, start.Argv, start.Attr); return err }); err != nil {
		b.Fatal(err)
	}
	w.Close()
	var status unix.WaitStatus
	if err := unix.Kill(pid, unix.SIGQUIT); err != nil {
		b.Fatal(err)
	}
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil {
		b.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		b.Fatal(err)
	}
	return string(out), status
}
