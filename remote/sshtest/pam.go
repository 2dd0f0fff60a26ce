//go:build linux

package sshtest

import (
	"os"
	"path/filepath"
	"strings"
)

// pam gives the server a PAM service of its own: sshd takes its program's name for the service's.
func (s *Server) pam() {
	s.t.Helper()
	if len(s.opt.PAM) == 0 {
		return
	}
	if os.Getuid() != 0 {
		s.t.Skip("a PAM service of its own needs root")
	}
	name := "sshd-" + filepath.Base(s.Dir)
	service := filepath.Join("/etc/pam.d", name)
	s.must(os.WriteFile(service, []byte(strings.Join(s.opt.PAM, "\n")+"\n"), 0o644))
	s.t.Cleanup(func() { os.Remove(service) })
	program := filepath.Join(s.Dir, name)
	s.must(os.Symlink(s.sshd, program))
	s.sshd = program
}
