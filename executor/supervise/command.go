//go:build linux

package supervise

import (
	"github.com/cyclops-fpga/cyclops/executor/command"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// cannot says why a command does not run, with a shell's exit code and in a shell's words.
type cannot = command.Cannot

// commandOf returns the argv of a step.
func commandOf(s manifest.Step) []string {
	if s.Run != "" {
		return []string{"/bin/sh", "-c", s.Run}
	}
	return s.Words()
}
