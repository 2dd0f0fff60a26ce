package cli

import (
	"os"
	"syscall"
)

// forwarded are the signals that a job gets when this process gets them.
var forwarded = []os.Signal{os.Interrupt, syscall.SIGTERM}

const quitSignal = syscall.SIGQUIT

func signalName(s os.Signal) string {
	if s == os.Interrupt {
		return "INT"
	}
	return "TERM"
}

func ignoreBrokenPipes() {}
