//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// begin starts cyclops and waits for its first picture.
func (x *tmux) begin() {
	x.t.Helper()
	x.text("cyclops")
	x.keys("Enter")
	x.see("2 hosts", "q quit")
}

// hosts opens their table, with the cursor on the server's.
func (x *tmux) hosts() {
	x.t.Helper()
	x.keys("2", "G")
	x.see("HOST", "ADDRESS")
}

// says waits until the table of hosts says so of the server's, which is the default and so has a star:
// what is said below the table may begin with the name, too.
func (x *tmux) says(word string) {
	x.t.Helper()
	x.until(word+" of "+x.server.Name, func(screen string) bool {
		for line := range strings.Lines(screen) {
			if strings.HasPrefix(strings.TrimSpace(line), x.server.Name+" * ") && strings.Contains(line, word) {
				return true
			}
		}
		return false
	})
}

// version is what this build calls itself, as far as a table shows it.
func (u *client) version() string {
	u.t.Helper()
	words := strings.Fields(u.cyclops("", "version").stdout)
	if len(words) < 2 {
		u.t.Fatalf("version says %q", words)
	}
	return words[1][:min(len(words[1]), 12)]
}

// A machine with nothing but sshd becomes a host by two keys: the table says what it lacks, and
// that it is there once it is, to whoever only looks.
func TestScreenInstallsOnABareHost(t *testing.T) {
	t.Parallel()
	server := sshtest.Start(t, sshtest.Options{Account: true})
	u := newUser(t, server)
	u.twoHosts("")
	u.write("cyclops.toml", "name = \"first\"\n", 0o644)
	x := newTmux(u)
	x.begin()
	x.hosts()
	x.says("no executor")
	x.see("1 lost", server.Name+" has no executor", "to do", "cyclops install "+server.Name)
	x.keys("i")
	x.see("install on", server.Name)
	x.keys("Enter")
	x.see("runs executor "+u.version(), "it answers")
	x.says(u.version())
	x.until("a host that is there", func(s string) bool {
		return !strings.Contains(s, "1 lost") && strings.Contains(s, "as "+server.User+"@")
	})
	if _, err := os.Lstat(filepath.Join(server.Home, ".cyclops", "bin", "current")); err != nil {
		t.Errorf("nothing was installed there: %v", err)
	}
	x.keys("Enter")
	x.see("filter: host:" + server.Name)
	if got := u.cyclops("", "run", "--name", "whoami", "--", "id", "-un"); got.code != 0 || got.stdout != server.User+"\n" {
		t.Error(got)
	}
	x.see("whoami", "succeeded")
	x.keys("t")
	x.see("complete", server.User)
}

// An upgrade is by one key: the table says so by itself, and the job that runs meanwhile goes on
// under the supervisor of before, to its own end. Where its log is open while somebody else
// puts another build there, that goes on too.
func TestScreenUpgradesUnderARunningJob(t *testing.T) {
	t.Parallel()
	up := newUpgrader(t)
	up.twoHosts(filepath.Join(up.home, "d"))
	if err := up.swap(); err != nil {
		t.Fatal(err)
	}
	f := newFollowed(up.client, steered)
	f.hosts()
	f.says("v0.0.2")
	f.keys("u")
	f.see("runs executor "+up.version(), "1 running job goes on")
	f.says(up.version())
	f.says("1 of 20")
	f.keys("1")
	f.see("long", "running")
	f.keys("t")
	f.shows("before")
	if err := up.swap(); err != nil {
		t.Fatal(err)
	}
	f.goesOn()
	f.shows("before", "during")
	f.ends()
	f.shows("before", "during", "after")
	f.see("complete")
	f.keys("q")
	f.see("failed (3)", "long")
	f.hosts()
	f.says("v0.0.1")
	f.says("0 of 20")
}
