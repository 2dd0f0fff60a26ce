package api

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// unsent returns how many bytes a TCP connection has not got rid of: a reset drops them. Of
// anything else it is 0, for nothing else is reset.
func unsent(d Duplex) (n int) {
	tcp, ok := d.(interface {
		syscall.Conn
		SetLinger(sec int) error
	})
	if !ok {
		return 0
	}
	conn, err := tcp.SyscallConn()
	if err != nil {
		return 0
	}
	_ = conn.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	return n
}
