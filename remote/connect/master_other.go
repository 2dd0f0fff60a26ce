//go:build !linux

package connect

import "syscall"

// endsWithUs keeps the signals of the terminal from a child. One of a process that is killed stays.
func endsWithUs() *syscall.SysProcAttr { return detached() }
