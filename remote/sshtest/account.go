//go:build linux

package sshtest

import (
	"errors"
	"os"
	"os/exec"
	"os/user"
	"strings"
	"syscall"
	"testing"
)

// accountLock is the beginning of the names of two kinds of locks: one for each account, held
// shared by whoever uses it so that the last one out can remove it, and one for a turn, held only
// while an account comes or goes. Nobody waits for a lock that is held shared: there could always
// be another test process that holds it.
const accountLock = "/tmp/cyclops-sshtest.lock"

// account returns a second, unprivileged account, which is removed when the last test that uses
// it ends. One with a password is another account than the one without.
func account(t testing.TB, password string) string {
	t.Helper()
	name, hash := "cyclops-test", "*" // with "!" sshd says that the account is locked
	if password != "" {
		name, hash = "cyclops-test-pw", crypt(t, password)
	}
	enter(t, name, hash)
	return name
}

// enter makes an account unless it is there, and holds it until the test ends.
func enter(t testing.TB, name, hash string) {
	t.Helper()
	defer turn(t)()
	hold := locked(t, accountLock+"."+name, syscall.LOCK_SH)
	t.Cleanup(func() { leave(t, hold, name) })
	if exists(name) {
		return
	}
	if out, err := exec.Command("useradd", "-m", "-s", "/bin/bash", "-p", hash, name).CombinedOutput(); err != nil {
		t.Fatalf("unable to make the account %s: %v: %s", name, err, out)
	}
}

// leave removes the account when nobody else holds it.
func leave(t testing.TB, hold *os.File, name string) {
	defer hold.Close()
	defer turn(t)()
	if flock(hold, syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		_ = exec.Command("userdel", "-r", name).Run() // fails while something of it runs
	}
}

// turn waits until no other account comes or goes.
func turn(t testing.TB) (done func()) {
	t.Helper()
	f := locked(t, accountLock+".turn", syscall.LOCK_EX)
	return func() { f.Close() }
}

func locked(t testing.TB, path string, how int) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = flock(f, how)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func exists(name string) bool {
	_, err := user.Lookup(name)
	return err == nil
}

func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func crypt(t testing.TB, password string) string {
	t.Helper()
	cmd := exec.Command("openssl", "passwd", "-6", "-stdin")
	cmd.Stdin = strings.NewReader(password)
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("no openssl to make a password with: %v", err)
	}
	return strings.TrimSpace(string(out))
}
