package term

import (
	"errors"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// reopen opens the pipe or terminal behind f a second time: that it does not block is then a
// matter of the new descriptor alone. Nil: it cannot be opened, as a socket cannot.
func reopen(f *os.File) *os.File {
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(int(f.Fd())), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	own := os.NewFile(uintptr(fd), f.Name())
	if err := own.SetWriteDeadline(time.Time{}); err != nil {
		own.Close()
		return nil
	}
	return own
}

func isBrokenPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }
