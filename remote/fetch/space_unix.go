//go:build linux || darwin

package fetch

import (
	"os"

	"golang.org/x/sys/unix"
)

// space is how many bytes may still be written below in; false: nobody knows.
func space(in *os.Root) (int64, bool) {
	dir, err := in.Open(".")
	if err != nil {
		return 0, false
	}
	defer dir.Close()
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &s); err != nil || s.Blocks == 0 {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
