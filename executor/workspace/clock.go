//go:build linux

package workspace

import (
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Stamp awaits a tick of the clock that gives files in dir their times and returns the new time. Every
// change made in that file system before the call has an older ctime, every later one this or a newer one.
func Stamp(dir string) (time.Time, error) {
	probe, err := os.CreateTemp(dir, ".stamp-*")
	if err != nil {
		return time.Time{}, fmt.Errorf("unable to read the clock of %s: %w", dir, err)
	}
	defer probe.Close()
	if err := os.Remove(probe.Name()); err != nil {
		return time.Time{}, fmt.Errorf("unable to read the clock of %s: %w", dir, err)
	}
	at, err := tick(int(probe.Fd()))
	if err != nil {
		return time.Time{}, fmt.Errorf("unable to read the clock of %s: %w", dir, err)
	}
	return at, nil
}

// tick touches a file until its time moves. Nothing announces a tick of this clock: kernels with
// multigrain times show it at once, older ones within 10 ms, file systems of whole seconds within 1 s.
func tick(fd int) (time.Time, error) {
	first, err := touch(fd)
	for err == nil {
		var now time.Time
		if now, err = touch(fd); err != nil {
			break
		}
		if now.After(first) {
			return now, nil
		}
		first = now // the clock may be set back meanwhile
		time.Sleep(100 * time.Microsecond)
	}
	return time.Time{}, err
}

// touch gives a file the present time and returns the ctime that this left.
func touch(fd int) (time.Time, error) {
	if err := setTimes(fd, [2]unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}); err != nil {
		return time.Time{}, err
	}
	var st unix.Stat_t
	err := ignoringEINTR(func() error { return unix.Fstat(fd, &st) })
	return time.Unix(st.Ctim.Unix()), err
}

// setTimes is futimens, which the C library makes of utimensat without a path.
func setTimes(fd int, times [2]unix.Timespec) error {
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(&times)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func ignoringEINTR(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
