//go:build linux

package main

import (
	"strings"
	"testing"
)

// On a terminal the shell gets one, of this one's size.
func TestShellOnATerminal(t *testing.T) {
	onBoth(t, func(t *testing.T, u *client) {
		if out := u.cyclops("", "run", "--name", "build", "--env", "TOKEN=s3cret", "-c", "echo made >report; exit 1"); out.code != 1 {
			t.Fatal(out)
		}
		got := u.onTerminal(u.command("shell", "-c", `echo ready; exec "${SHELL:-/bin/sh}"`, "build"), "echo $(cat report) $TOKEN $(stty size); test -t 0 -a -t 1 -a -t 2; exit 4$?\r")
		if got.code != 40 || !strings.Contains(got.stdout, "made s3cret 24 80") {
			t.Errorf("got %v", got)
		}
		if out := u.cyclops("", "ps", "--json"); !strings.Contains(out.stdout, `"terminal": true`) {
			t.Errorf("listed as %v", out)
		}
	})
}
