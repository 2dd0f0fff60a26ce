package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// Exit codes; docs/exit-codes.md tells them to users.
const (
	exitFailure  = 1   // of a verb other than run, attach, wait
	exitUsage    = 2   // likewise
	exitTimeout  = 124 // the job timed out
	exitCyclops  = 125 // Cyclops did not do its part
	exitNotFound = 127 // the host has no such command
	exitUnknown  = 255 // the outcome is not known
)

// exitError carries an exit code to Main. A nil err means that all has been said.
type exitError struct {
	code  int
	err   error
	lacks bool // the host has no such tool: nothing ran
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// asJob marks the failures of a verb that exits with a job's code.
func asJob(err error) error {
	var e *exitError
	if err == nil || errors.As(err, &e) {
		return err
	}
	return &exitError{code: jobVerbCode(err), err: err}
}

// jobVerbCode maps what went wrong in run, attach and wait to their exit codes.
func jobVerbCode(err error) int {
	var stop *interrupted
	if errors.As(err, &stop) {
		return 128 + signalNumber(signalName(stop.signal))
	}
	if errors.Is(err, context.Canceled) {
		return 128 + int(syscall.SIGINT)
	}
	switch api.KindOf(err) {
	case api.LostContact, api.Unsure:
		return exitUnknown
	}
	return exitCyclops
}

// exitCode is the one place where errors become exit codes.
func exitCode(err error) int {
	var e *exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.code
	case errors.Is(err, context.Canceled):
		return 128 + int(syscall.SIGINT)
	}
	switch api.KindOf(err) {
	case api.Usage, api.Invalid:
		return exitUsage
	}
	return exitFailure
}

// report prints err as one line of what failed and one hint of what to do.
func report(w io.Writer, colour bool, err error) {
	var exit *exitError
	if errors.As(err, &exit) && exit.err == nil {
		return
	}
	hint := ""
	var e *api.Error
	if errors.As(err, &e) {
		hint = e.Hint
	}
	fmt.Fprintf(w, "%s %s\n", term.Paint(colour, term.Bad, "cyclops:"), term.Clean(err.Error()))
	if hint != "" {
		fmt.Fprintf(w, "%s %s\n", term.Paint(colour, term.Bold, "hint:"), term.Clean(hint))
	}
}

// jobExit maps how a job ended to the exit code of run, attach and wait.
func jobExit(state manifest.State, code *int, signal string, started bool) int {
	switch {
	case state == manifest.Lost:
		return exitUnknown
	case state == manifest.TimedOut:
		return exitTimeout
	case state == manifest.Cancelled && !started:
		return exitCyclops
	case state == manifest.Failed && signal == "" && code != nil && *code == 0:
		return exitCyclops // a limit of the host's ended it, whatever the command made of that
	case signal != "":
		return 128 + signalNumber(signal)
	case code != nil:
		return *code
	case state == manifest.Succeeded:
		return 0
	}
	return exitCyclops
}
