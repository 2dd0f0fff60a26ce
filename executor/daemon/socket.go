//go:build linux

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// short calls fn with a path to the same file that fits a socket's address, however long path is.
func short(path string, fn func(path string) error) error {
	if len(path) <= api.MaxSocketPath {
		return fn(path)
	}
	dir, err := os.OpenFile(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	return fn(fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)))
}

// Dial connects to the daemon of a data directory.
func Dial(ctx context.Context, d layout.Data) (conn net.Conn, err error) {
	err = short(d.Socket(), func(path string) error {
		conn, err = (&net.Dialer{}).DialContext(ctx, "unix", path)
		return err
	})
	return conn, err
}

// listen makes the API's socket, in place of one that a daemon left. The lock must be held.
func listen(d layout.Data) (*net.UnixListener, error) {
	var l *net.UnixListener
	// It gets its name when it accepts, so that whoever sees it can connect.
	err := short(d.Socket()+".new", func(path string) (err error) {
		if err := failpoint.At(failpoint.DaemonListen); err != nil {
			return err
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if l, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}); err != nil {
			return err
		}
		l.SetUnlinkOnClose(false)
		err = errors.Join(os.Chmod(path, 0o600), os.Rename(d.Socket()+".new", d.Socket()))
		if err != nil {
			return errors.Join(err, l.Close())
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("unable to listen at %s: %w", d.Socket(), err)
	}
	return l, nil
}

// announced is the socket's path as clients may use it, or "" when it is too long for them.
func announced(d layout.Data) string {
	if len(d.Socket()) > api.MaxSocketPath {
		return ""
	}
	return d.Socket()
}
