//go:build linux

package sshtest

import (
	"os/exec"
	"strings"
	"testing"
)

func login(t *testing.T, s *Server, command string) string {
	t.Helper()
	out, err := exec.Command("ssh", "-F", s.ConfigFile, "-o", "BatchMode=yes", s.Name, command).CombinedOutput()
	if err != nil {
		t.Errorf("ssh: %v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestStockClientLogsIn(t *testing.T) {
	t.Parallel()
	jump := Start(t, Options{Name: "gate"})
	for _, opt := range []Options{{}, {Account: true}, {HostCA: true}, {UserCA: true}, {Jump: jump}} {
		s := Start(t, opt)
		if got, want := login(t, s, "echo $HOME; id -un"), s.Home+"\n"+s.User; got != want {
			t.Errorf("%+v: %q, want %q", opt, got, want)
		}
	}
}

func TestComesBackAfterDown(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	s.Down()
	s.Up()
	if got := login(t, s, "echo up"); got != "up" {
		t.Errorf("said %q", got)
	}
}
