//go:build unix

package fetch

import "golang.org/x/sys/unix"

// nonBlock keeps an open from waiting where a FIFO lies.
const nonBlock = unix.O_NONBLOCK | unix.O_NOFOLLOW
