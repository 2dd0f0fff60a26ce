//go:build linux

package samepath

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Go answers SIGQUIT, which Ctrl-\ sends, with a listing of its goroutines. The entering process has
// the job's terminal already and must die of that key as the tool would: the signal waits from its
// first moment on until it does.

// Held runs start, which starts a process, such that SIGQUIT waits until that process wants it.
func Held(start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, onlyQuit(), &before); err != nil {
		return err
	}
	defer func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil) }()
	return start()
}

// quitByKey has SIGQUIT end this process, on the thread that calls it, as it ends one by default.
func quitByKey() {
	var act [64]byte // a kernel's struct sigaction on any machine: SIG_DFL, no flags, an empty mask
	const maskSize = 8
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGQUIT), uintptr(unsafe.Pointer(&act)), 0, maskSize, 0, 0)
	if errno == 0 {
		_ = unix.PthreadSigmask(unix.SIG_UNBLOCK, onlyQuit(), nil)
	}
}

func onlyQuit() *unix.Sigset_t {
	var set unix.Sigset_t
	set.Val[0] = 1 << (unix.SIGQUIT - 1)
	return &set
}
