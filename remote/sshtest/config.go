//go:build linux

package sshtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// writeServer writes sshd_config for the port.
func (s *Server) writeServer() {
	s.t.Helper()
	s.Log = filepath.Join(s.Dir, "sshd.log")
	lines := append([]string{}, s.opt.Extra...)
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	add("Port %d", s.Port)
	add("ListenAddress %s", s.host())
	add("HostKey %s", filepath.Join(s.Dir, "hostkey"))
	add("PidFile none")
	add("AuthorizedKeysFile %s", filepath.Join(s.Dir, "authorized_keys"))
	add("StrictModes no") // the directories above are not the account's
	add("PermitRootLogin yes")
	add("AllowTcpForwarding yes")
	add("LogLevel VERBOSE")
	add("SetEnv HOME=%s", s.Home)
	if s.opt.HostCA {
		add("HostCertificate %s", filepath.Join(s.Dir, "hostkey-cert.pub"))
	}
	if s.opt.UserCA {
		add("TrustedUserCAKeys %s", filepath.Join(s.Dir, "user_ca.pub"))
	}
	s.authentication(add)
	s.limits(add)
	s.must(os.WriteFile(filepath.Join(s.Dir, "sshd_config"), []byte(strings.Join(lines, "\n")+"\n"), 0o644))
}

func (s *Server) authentication(add func(string, ...any)) {
	add("UsePAM %s", yes(s.opt.Interactive))
	add("PasswordAuthentication %s", yes(s.opt.Password != "" && !s.opt.Interactive))
	add("KbdInteractiveAuthentication %s", yes(s.opt.Interactive))
	add("PubkeyAuthentication %s", yes(s.opt.Password == ""))
}

func (s *Server) limits(add func(string, ...any)) {
	add("AllowStreamLocalForwarding %s", yes(!s.opt.NoStreamLocal))
	if !s.opt.NoSFTP {
		add("Subsystem sftp internal-sftp -d %s", s.Home)
	}
	if s.opt.MaxSessions > 0 {
		add("MaxSessions %d", s.opt.MaxSessions)
	}
	if s.opt.ForceCommand != "" {
		add("ForceCommand %s", s.opt.ForceCommand)
	}
}

func yes(v bool) string {
	if v {
		return "yes"
	}
	return "no"
}

func (s *Server) writeClient() {
	s.t.Helper()
	s.ConfigFile = s.Config("ssh_config")
}

// Config writes another ssh_config into the server's directory, in which lines come before what
// the alias has by itself, and returns its path.
func (s *Server) Config(file string, lines ...string) string {
	s.t.Helper()
	path := filepath.Join(s.Dir, file)
	text := s.block(lines)
	for jump := s.opt.Jump; jump != nil; jump = jump.opt.Jump {
		text += jump.block(nil)
	}
	s.must(os.WriteFile(path, []byte(text), 0o644))
	return path
}

func (s *Server) block(lines []string) string {
	b := new(strings.Builder)
	fmt.Fprintf(b, "Host %s\n", s.Name)
	for _, line := range lines {
		fmt.Fprintf(b, "  %s\n", line)
	}
	if s.opt.Jump != nil {
		fmt.Fprintf(b, "  ProxyJump %s\n", s.opt.Jump.Name)
	}
	fmt.Fprintf(b, "  HostName %s\n  Port %d\n  User %s\n", s.host(), s.Port, s.User)
	fmt.Fprintf(b, "  IdentityFile %s\n  IdentitiesOnly yes\n  IdentityAgent none\n", s.Identity)
	fmt.Fprintf(b, "  UserKnownHostsFile %s\n  GlobalKnownHostsFile none\n", s.KnownHosts)
	fmt.Fprintf(b, "  ControlPath none\n\n")
	return b.String()
}
