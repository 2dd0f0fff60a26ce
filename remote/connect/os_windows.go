package connect

import (
	"net"
	"os"
	"syscall"
)

// ownDirectory makes dir; on Windows it inherits the profile's rights, which are the user's alone.
func ownDirectory(dir string) error { return os.MkdirAll(dir, 0o700) }

func listenPrivate(path string) (net.Listener, error) { return net.Listen("unix", path) }

// detached gives the link no console, so that closing the client's does not end it.
func detached() *syscall.SysProcAttr {
	const detachedProcess, newGroup = 0x8, 0x200
	return &syscall.SysProcAttr{CreationFlags: detachedProcess | newGroup}
}
