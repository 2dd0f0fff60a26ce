//go:build linux

package workspace

import (
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"
)

// Everything here works relative to an open directory and never follows a symlink: a job may
// have put one anywhere.

func statAt(fd int, name string) (unix.Stat_t, error) {
	var st unix.Stat_t
	err := ignoringEINTR(func() error { return unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	return st, err
}

func openAt(fd int, name string, flags int, perm uint32) (int, error) {
	for {
		got, err := unix.Openat(fd, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, perm)
		if err != unix.EINTR {
			return got, err
		}
	}
}

// openDirAt opens a directory, also one that a job has closed to its owner.
func openDirAt(fd int, name string) (int, error) {
	got, err := openAt(fd, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != unix.EACCES {
		return got, err
	}
	if err := unlockAt(fd, name); err != nil {
		return -1, err
	}
	return openAt(fd, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

// unlockAt gives the owner back all rights to a directory.
func unlockAt(fd int, name string) error {
	got, err := openAt(fd, name, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(got)
	return unlock(got)
}

// unlock takes a descriptor of any sort, also one that was opened as a mere path.
func unlock(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	return unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), st.Mode&0o7777|0o700)
}

// writable calls change, which changes names in a directory, again with the directory unlocked
// where a job has made it read-only.
func writable(fd int, change func() error) error {
	err := ignoringEINTR(change)
	if err != unix.EACCES {
		return err
	}
	if err := unlock(fd); err != nil {
		return err
	}
	return ignoringEINTR(change)
}

// readlinkAt returns a symlink's target, or "" when there is none of a size that an input can have.
func readlinkAt(fd int, name string) string {
	var buf [4096]byte
	n, err := unix.Readlinkat(fd, name, buf[:])
	if err != nil || n == len(buf) {
		return ""
	}
	return string(buf[:n])
}

// maxOpenDirs bounds the descriptors that one dirCache holds.
const maxOpenDirs = 128

// dirCache opens directories below a root by path, one component after another. It does not own the root.
type dirCache struct {
	root int
	open map[string]int
}

func newDirCache(root int) *dirCache { return &dirCache{root: root, open: map[string]int{}} }

// get returns a descriptor that is valid until the next call.
func (c *dirCache) get(dir string) (int, error) {
	if dir == "" || dir == "." {
		return c.root, nil
	}
	if fd, ok := c.open[dir]; ok {
		return fd, nil
	}
	parent, err := c.get(path.Dir(dir))
	if err != nil {
		return -1, err
	}
	fd, err := openDirAt(parent, path.Base(dir))
	if err != nil {
		return -1, err
	}
	if len(c.open) >= maxOpenDirs {
		c.close()
	}
	c.open[dir] = fd
	return fd, nil
}

func (c *dirCache) close() {
	for _, fd := range c.open {
		unix.Close(fd)
	}
	clear(c.open)
}

func notThere(err error) bool { return errors.Is(err, unix.ENOENT) }

func notDirectory(err error) bool { return errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) }
