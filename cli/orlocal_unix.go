//go:build unix

package cli

import (
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// execHere becomes the tool.
func execHere(file string, args, env []string) error {
	signal.Reset()
	return api.Errorf(api.Internal, "", "unable to run %s: %w", file, syscall.Exec(file, args, env))
}

// leadsGroup tells whether this process was started as a command of its own, by a person at a shell: not one of
// many that make runs side by side on the same terminal.
func leadsGroup() bool { return syscall.Getpgrp() == syscall.Getpid() }

func exitBySignal(err *exec.ExitError) int {
	if status, ok := err.Sys().(syscall.WaitStatus); ok {
		return 128 + int(status.Signal())
	}
	return exitFailure
}
