package connect

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// acknowledger returns what has the kernel acknowledge at once what came; nil where there is no
// TCP. Until a session was opened sshd holds small packets back for an acknowledgement, and the
// kernel holds that back for 40 ms.
func acknowledger(c net.Conn) func() {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return func() { acknowledge(raw) }
}

func acknowledge(raw syscall.RawConn) {
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	})
}
