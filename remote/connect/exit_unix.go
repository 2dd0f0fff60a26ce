//go:build unix

package connect

import (
	"os"
	"syscall"
)

// exitCode is the code that a shell gives for how a process ended.
func exitCode(s *os.ProcessState) int {
	if ws, ok := s.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return s.ExitCode()
}
