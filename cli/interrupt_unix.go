//go:build unix

package cli

import (
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// forwarded are the signals that a job gets when this process gets them.
var forwarded = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2}

const quitSignal = syscall.SIGQUIT

func signalName(s os.Signal) string {
	n, ok := s.(syscall.Signal)
	if !ok {
		return "TERM"
	}
	return strings.TrimPrefix(unix.SignalName(n), "SIG")
}

// ignoreBrokenPipes lets a write to a closed pipe fail instead of ending this process, so that
// the job can be told. Not signal.Ignore: what this process starts would inherit that, jobs too.
// Not signal.Ignore: what this process starts, the executor among it, would inherit that.
func ignoreBrokenPipes() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
