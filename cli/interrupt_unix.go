//go:build unix

package cli

import (
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// forwarded are the signals that are the job's, or leave it, when this process gets them.
var forwarded = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2}

// ofWindow are the signals that concern a raw terminal here. Without one they do what they always do.
var ofWindow = []os.Signal{syscall.SIGWINCH, syscall.SIGTSTP, syscall.SIGCONT}

const quitSignal = syscall.SIGQUIT

func signalName(s os.Signal) string {
	n, ok := s.(syscall.Signal)
	if !ok {
		return "TERM"
	}
	return strings.TrimPrefix(unix.SignalName(n), "SIG")
}

// stopSelf does what SIGTSTP would have done. SIGCONT comes when that is over.
func stopSelf() { _ = unix.Kill(os.Getpid(), unix.SIGSTOP) }

// ignoreBrokenPipes lets a write to a closed pipe fail instead of ending this process, so that
// the job can be told. Not signal.Ignore: what this process starts, the executor among it, would
// inherit that, jobs too.
func ignoreBrokenPipes() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
