//go:build linux

package collect

import (
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// manyFiles is from how many files on one sync of the file system is cheaper than one each.
const manyFiles = 64

// syncPaths makes files and directories durable that are on the file system of dir. tells: see syncfsTells.
func syncPaths(dir string, paths []string, tells bool) error {
	if len(paths) > manyFiles {
		if err := syncFS(dir); err != nil || tells {
			return err
		}
	}
	var group errgroup.Group
	group.SetLimit(manyFiles)
	for _, p := range paths {
		group.Go(func() error { return syncPath(p) })
	}
	return group.Wait()
}

func syncFS(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

func syncPath(p string) error {
	f, err := os.Open(p)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// syncfsTells tells whether the kernel's syncfs says that a write failed. Before Linux 5.8 only the fsync of
// each file does.
func syncfsTells() bool {
	var name unix.Utsname
	return unix.Uname(&name) == nil && tellsSince(unix.ByteSliceToString(name.Release[:]))
}

func tellsSince(release string) bool {
	var major, minor int
	_, err := fmt.Sscanf(release, "%d.%d", &major, &minor)
	return err == nil && (major > 5 || major == 5 && minor >= 8)
}
