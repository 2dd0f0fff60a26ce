//go:build linux

package supervise

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// A daemon that was to leave waited for a supervisor that somebody had stopped.
func TestNobodyWaitsForEverForASupervisorThatWasStopped(t *testing.T) {
	t.Parallel()
	j := newBench(t).start(sh("echo up; read line"))
	j.await("up", func() bool { return j.size >= 3 })
	if err := unix.Kill(j.process.PID, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := j.process.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := errors.Join(unix.Kill(j.process.PID, unix.SIGCONT), unix.Kill(j.process.PID, unix.SIGTERM)); err != nil {
		t.Fatal(err)
	}
	j.end()
}
