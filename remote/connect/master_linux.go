package connect

import "syscall"

// endsWithUs has a child end with this process, even when that is killed, and keeps the signals
// of the terminal from it.
func endsWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
}
