//go:build linux

package samepath

import (
	"errors"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ground is how far a path leads on this host.
type ground struct {
	base   string   // the directory in which the next component is missing; "": the path exists
	hidden string   // the next component, where it is there but closed to this user
	rest   []string // the components from there on
}

// survey walks from / to path without following a symlink: where there is one, the job would
// learn another path from the kernel than the client knows.
func survey(path string) (ground, error) {
	at, parts := "/", strings.Split(path[1:], "/")
	for i, name := range parts {
		next := filepath.Join(at, name)
		var st unix.Stat_t
		switch err := unix.Lstat(next, &st); {
		case errors.Is(err, unix.ENOENT):
			return ground{base: at, rest: parts[i:]}, nil
		case err != nil:
			return ground{}, off("%s cannot be looked at on the host: %v", next, err)
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
		case unix.S_IFLNK:
			return ground{}, off("%s is a symbolic link on the host", next)
		default:
			return ground{}, off("%s is a file on the host", next)
		}
		if i < len(parts)-1 && unix.Access(next, unix.X_OK) != nil {
			return ground{base: at, hidden: name, rest: parts[i:]}, nil
		}
		at = next
	}
	return ground{}, nil
}
