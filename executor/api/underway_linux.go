package api

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// underWay returns how many bytes of a connection lie in the kernel: those that came and were not
// read, and, of TCP, those that were written and that the other side has not, for a reset drops them.
func underWay(d Duplex) (n int) {
	socket, ok := d.(syscall.Conn)
	if !ok {
		return 0
	}
	conn, err := socket.SyscallConn()
	if err != nil {
		return 0
	}
	_ = conn.Control(func(fd uintptr) {
		n, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ)
		if _, resets := d.(resetter); resets {
			out, _ := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
			n += out
		}
	})
	return n
}
