package cli

import (
	"os"
	"syscall"
)

// forwarded are the signals that a job gets when this process gets them.
var forwarded = []os.Signal{os.Interrupt, syscall.SIGTERM}

// ofWindow is empty: a console tells nobody that its size changed.
var ofWindow []os.Signal

const quitSignal = syscall.SIGQUIT

func signalName(s os.Signal) string {
	if s == os.Interrupt {
		return "INT"
	}
	return "TERM"
}

func stopSelf() {}

func ignoreBrokenPipes() {}
