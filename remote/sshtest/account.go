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

// accountLock is held shared by every test process that uses accounts, so that the last one out
// can remove them.
const accountLock = "/tmp/cyclops-sshtest.lock"

// account returns a second, unprivileged account, which is removed when the last test that uses
// it ends. One with a password is another account than the one without.
func account(t testing.TB, password string) string {
	t.Helper()
	name, hash := "cyclops-test", "*" // with "!" sshd says that the account is locked
	if password != "" {
		name, hash = "cyclops-test-pw", crypt(t, password)
	}
	lock, err := os.OpenFile(accountLock, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	hold := func() {
		if err := flock(lock, syscall.LOCK_SH); err != nil {
			t.Fatal(err)
		}
	}
	for hold(); !exists(name); hold() {
		create(t, lock, name, hash)
	}
	t.Cleanup(func() { release(lock, name) })
	return name
}

func exists(name string) bool {
	_, err := user.Lookup(name)
	return err == nil
}

func create(t testing.TB, lock *os.File, name, hash string) {
	t.Helper()
	if err := flock(lock, syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if !exists(name) {
		if out, err := exec.Command("useradd", "-m", "-s", "/bin/bash", "-p", hash, name).CombinedOutput(); err != nil {
			t.Fatalf("unable to make the account %s: %v: %s", name, err, out)
		}
	}
}

func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// release removes the account when no other process has the lock.
func release(lock *os.File, name string) {
	defer lock.Close()
	if flock(lock, syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		_ = exec.Command("userdel", "-r", name).Run() // fails while something of it runs
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
