//go:build unix

package scan

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func lstat(path string) (stat, error) {
	var st unix.Stat_t
	for {
		err := unix.Lstat(path, &st)
		if err == nil {
			return statOf(&st), nil
		}
		if !errors.Is(err, unix.EINTR) {
			return stat{}, &os.PathError{Op: "lstat", Path: path, Err: err}
		}
	}
}

func fstat(f *os.File) (stat, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return stat{}, &os.PathError{Op: "fstat", Path: f.Name(), Err: err}
	}
	return statOf(&st), nil
}

func statOf(st *unix.Stat_t) stat {
	return stat{
		size:  st.Size,
		mtime: unix.TimespecToNsec(st.Mtim),
		ctime: unix.TimespecToNsec(st.Ctim),
		inode: st.Ino,
		kind:  kindOf(uint32(st.Mode)),
	}
}

func kindOf(mode uint32) kind {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return directory
	case unix.S_IFLNK:
		return symlink
	case unix.S_IFREG:
		if mode&0o100 != 0 {
			return executable
		}
		return regular
	}
	return special
}

// openFile opens a file that a moment ago was regular. Should it be a symlink or a FIFO by now, this fails
// or returns at once instead of following or waiting.
func openFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
}
