//go:build linux

package samepath

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// rights are a thread's permitted capabilities, one bit each.
type rights uint64

func (r rights) has(c int) bool { return r&(1<<c) != 0 }

// ownRights returns those of the calling thread.
func ownRights() (rights, error) {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		return 0, fmt.Errorf("unable to learn the rights of this process: %w", err)
	}
	return rights(data[0].Effective) | rights(data[1].Effective)<<32, nil
}

// drop takes from the calling thread, and from whatever it becomes by execve, every capability
// that is not in keep. It needs CAP_SETPCAP.
func drop(keep rights) error {
	for c := range 64 {
		if keep.has(c) {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err == unix.EINVAL {
			break // the kernel knows no more
		} else if err != nil {
			return fmt.Errorf("unable to give up capability %d: %w", c, err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("unable to give up ambient capabilities: %w", err)
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{
		{Effective: uint32(keep), Permitted: uint32(keep)},
		{Effective: uint32(keep >> 32), Permitted: uint32(keep >> 32)},
	}
	if err := unix.Capset(&head, &data[0]); err != nil {
		return fmt.Errorf("unable to give up capabilities: %w", err)
	}
	return nil
}
