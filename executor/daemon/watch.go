//go:build linux

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/layout"
)

// listener accepts at the API's socket and makes it anew when somebody deleted it: tidying a
// home directory must not cut an executor off from its clients.
type listener struct {
	data  layout.Data
	conns chan net.Conn
	quit  chan struct{}
	watch *os.File
	wg    sync.WaitGroup

	mu      sync.Mutex
	current *net.UnixListener
	closed  bool
}

func newListener(d layout.Data) (*listener, error) {
	l := &listener{data: d, conns: make(chan net.Conn), quit: make(chan struct{})}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("unable to watch %s: %w", d.Run(), err)
	}
	l.watch = os.NewFile(uintptr(fd), "inotify")
	if _, err := unix.InotifyAddWatch(fd, d.Run(), unix.IN_DELETE|unix.IN_MOVED_FROM); err != nil {
		return nil, errors.Join(fmt.Errorf("unable to watch %s: %w", d.Run(), err), l.watch.Close())
	}
	if err := l.renew(); err != nil {
		return nil, errors.Join(err, l.watch.Close())
	}
	l.wg.Go(l.look)
	return l, nil
}

// renew listens at a new socket and stops listening at the old one.
func (l *listener) renew() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	next, err := listen(l.data)
	if err != nil {
		return err
	}
	if l.current != nil {
		l.current.Close()
	}
	l.current = next
	l.wg.Go(func() { l.accept(next) })
	return nil
}

func (l *listener) accept(from *net.UnixListener) {
	for {
		conn, err := from.Accept()
		if err != nil {
			return
		}
		select {
		case l.conns <- conn:
		case <-l.quit:
			conn.Close()
			return
		}
	}
}

// look waits for the socket's name to vanish from its directory.
func (l *listener) look() {
	buf := make([]byte, 64<<10)
	for {
		n, err := l.watch.Read(buf)
		if err != nil {
			return
		}
		if _, err := os.Lstat(l.data.Socket()); strings.Contains(string(buf[:n]), filepath.Base(l.data.Socket())) && err != nil {
			if l.renew() != nil {
				return
			}
		}
	}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.quit:
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: l.data.Socket(), Net: "unix"} }

// Close implements net.Listener; the socket's name goes with it.
func (l *listener) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	close(l.quit)
	err := errors.Join(os.Remove(l.data.Socket()), l.current.Close(), l.watch.Close())
	l.mu.Unlock()
	l.wg.Wait()
	return err
}

// answers tells whether a daemon says hello. That one connects is not enough: the socket of a
// daemon that was killed takes connections until its last thread is gone.
func answers(ctx context.Context, d layout.Data) bool {
	_, err := Hello(ctx, d)
	var refused *api.Error // a daemon of another version says no, and is one
	return err == nil || errors.As(err, &refused) && refused.Kind != api.Unreachable
}
