//go:build linux

package sshtest

import (
	"crypto/rand"
	"os"
	"strings"
	"syscall"
	"testing"
)

// A test must never wait for those of another process, of which there may always be one, and must
// not take the account from them.
func TestAccountBesideOtherProcesses(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("accounts need root")
	}
	name := "cyclops-test-" + strings.ToLower(rand.Text()[:6])
	path := accountLock + "." + name
	t.Cleanup(func() { os.Remove(path) })
	use := func() { t.Run("use", func(t *testing.T) { enter(t, name, "*") }) }
	other := locked(t, path, syscall.LOCK_SH) // a lock is its file's, whatever the process
	use()
	if !exists(name) {
		t.Error("the account was taken from another process")
	}
	other.Close()
	use()
	if exists(name) {
		t.Error("the account is left")
	}
}
