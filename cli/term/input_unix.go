//go:build unix

package term

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// background is the time between two looks whether this process is in the foreground again: no event tells.
const background = 200 * time.Millisecond

// await returns when f can be read and this process may.
func (i *Input) await() error {
	f, wake := int(i.f.Fd()), int(i.wake.Fd())
	for {
		readable, err := selectTwo(f, wake, 0)
		if err != nil || readable && (!i.terminal || Foreground(i.f)) {
			return err
		}
		if !readable {
			continue
		}
		if _, err := selectTwo(-1, wake, background); err != nil {
			return err
		}
	}
}

// ready tells whether f can be read at once.
func (i *Input) ready() bool {
	readable, err := selectTwo(int(i.f.Fd()), int(i.wake.Fd()), time.Microsecond)
	return readable || err != nil && err != errStopped
}

// selectTwo waits until f, unless it is -1, can be read, or fails with errStopped when wake can.
// Not poll: on macOS it does not know terminals.
func selectTwo(f, wake int, limit time.Duration) (bool, error) {
	if max(f, wake) >= unix.FD_SETSIZE {
		return true, nil // more files than select knows: this Read cannot be stopped
	}
	var set unix.FdSet
	if f >= 0 {
		set.Set(f)
	}
	set.Set(wake)
	var timeout *unix.Timeval
	if limit > 0 {
		t := unix.NsecToTimeval(limit.Nanoseconds())
		timeout = &t
	}
	_, err := unix.Select(max(f, wake)+1, &set, nil, nil, timeout)
	switch {
	case err == unix.EINTR:
		return false, nil
	case err != nil:
		return false, os.NewSyscallError("select", err)
	case set.IsSet(wake):
		return false, errStopped
	}
	return f >= 0 && set.IsSet(f), nil
}

// Foreground tells whether this process may read the terminal f, or f is not its own.
func Foreground(f *os.File) bool {
	group, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}
