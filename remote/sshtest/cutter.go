//go:build linux

package sshtest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// Cutter is a line on loopback that a test takes away and gives back: it listens on Addr and
// carries every connection to one address. Its methods may be called from any goroutine, and from
// the functions given to OnBytes.
type Cutter struct {
	Addr       string // 127.0.0.1:PORT
	Port       int
	ConfigFile string // ssh_config whose alias leads through this line; only of Server.Cutter

	to       string
	listener net.Listener
	tasks    sync.WaitGroup

	mu       sync.Mutex
	ended    bool
	down     bool
	frozen   chan struct{} // closed by Thaw; nil: not frozen
	conns    map[*cut]bool
	accepted int
	bytes    int64
	watches  []watch
}

// watch is one OnBytes that has not come yet.
type watch struct {
	at int64
	f  func()
}

// cut is one connection and its far half.
type cut struct{ near, far *net.TCPConn }

// reset has both ends see a reset at once, whatever is under way.
func (c *cut) reset() {
	for _, conn := range []*net.TCPConn{c.near, c.far} {
		_ = conn.SetLinger(0)
		conn.Close()
	}
}

// NewCutter returns a line to a TCP address that stands until the test ends.
func NewCutter(t testing.TB, to string) *Cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &Cutter{Addr: l.Addr().String(), Port: l.Addr().(*net.TCPAddr).Port, to: to, listener: l, conns: map[*cut]bool{}}
	c.tasks.Go(c.accept)
	t.Cleanup(c.close)
	return c
}

// Cutter returns a line to the server, with an ssh_config of its own that leads through it; lines
// come before what the alias has by itself.
func (s *Server) Cutter(lines ...string) *Cutter {
	s.t.Helper()
	c := NewCutter(s.t, s.Addr)
	known := filepath.Join(s.Dir, fmt.Sprintf("known_hosts.%d", c.Port))
	data, err := os.ReadFile(s.KnownHosts)
	s.must(err)
	data = []byte(strings.ReplaceAll(string(data), fmt.Sprintf("[127.0.0.1]:%d ", s.Port), fmt.Sprintf("[127.0.0.1]:%d ", c.Port)))
	s.must(os.WriteFile(known, data, 0o600))
	lines = append(lines, fmt.Sprintf("Port %d", c.Port), "UserKnownHostsFile "+known)
	c.ConfigFile = s.Config(fmt.Sprintf("ssh_config.%d", c.Port), lines...)
	return c
}

// Reset cuts every connection with a TCP reset and lets new ones in. It returns how many there were.
func (c *Cutter) Reset() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.conns)
	for conn := range c.conns {
		conn.reset()
	}
	clear(c.conns)
	return n
}

// Freeze lets nothing through any more: connections stand and are silent, new ones get no
// answer. What is sent meanwhile arrives after Thaw, as it would by TCP.
func (c *Cutter) Freeze() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.frozen == nil {
		c.frozen = make(chan struct{})
	}
}

// Thaw ends Freeze.
func (c *Cutter) Thaw() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.frozen != nil {
		close(c.frozen)
		c.frozen = nil
	}
}

// Down cuts every connection and resets new ones until Up, as a host without a server does.
func (c *Cutter) Down() {
	c.mu.Lock()
	c.down = true
	c.mu.Unlock()
	c.Reset()
}

// Up ends Down.
func (c *Cutter) Up() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = false
}

// OnBytes calls f once, when n bytes more have gone through in both directions together. The
// bytes that made up n may not have arrived when f is called, and nothing follows them before
// f returns.
func (c *Cutter) OnBytes(n int64, f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watches = append(c.watches, watch{c.bytes + n, f})
}

// Bytes is how many bytes went through in both directions.
func (c *Cutter) Bytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}

// Accepted is how many connections there have been.
func (c *Cutter) Accepted() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.accepted
}

func (c *Cutter) close() {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.listener.Close()
	c.Thaw()
	c.Reset()
	c.tasks.Wait()
}

func (c *Cutter) accept() {
	for {
		near, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.tasks.Go(func() { c.connect(near.(*net.TCPConn)) })
	}
}

// connect carries one connection once the line is not frozen.
func (c *Cutter) connect(near *net.TCPConn) {
	c.wait()
	far, err := net.Dial("tcp", c.to)
	if err != nil {
		_ = near.SetLinger(0)
		near.Close()
		return
	}
	conn := &cut{near, far.(*net.TCPConn)}
	if !c.enter(conn) {
		conn.reset()
		return
	}
	var both sync.WaitGroup
	both.Go(func() { c.pump(conn.near, conn.far) })
	both.Go(func() { c.pump(conn.far, conn.near) })
	both.Wait()
	near.Close()
	far.Close()
	c.mu.Lock()
	delete(c.conns, conn)
	c.mu.Unlock()
}

func (c *Cutter) enter(conn *cut) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down || c.ended {
		return false
	}
	c.conns[conn] = true
	c.accepted++
	return true
}

// pump carries one direction, its end too.
func (c *Cutter) pump(from, to *net.TCPConn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		acknowledge(from)
		c.wait()
		if n > 0 {
			c.count(n)
			if _, werr := to.Write(buf[:n]); werr != nil {
				_ = from.CloseRead()
				return
			}
		}
		if err != nil {
			_ = to.CloseWrite()
			return
		}
	}
}

// acknowledge has the kernel acknowledge at once: a relay must not add the 40 ms for which it
// holds that back, and a sender that waits for it its packets.
func acknowledge(c *net.TCPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	})
}

// wait returns when the line is not frozen.
func (c *Cutter) wait() {
	for {
		c.mu.Lock()
		frozen := c.frozen
		c.mu.Unlock()
		if frozen == nil {
			return
		}
		<-frozen
	}
}

// count notes n bytes and calls what was waiting for them.
func (c *Cutter) count(n int) {
	c.mu.Lock()
	c.bytes += int64(n)
	var due []func()
	rest := c.watches[:0]
	for _, w := range c.watches {
		if w.at <= c.bytes {
			due = append(due, w.f)
		} else {
			rest = append(rest, w)
		}
	}
	c.watches = rest
	c.mu.Unlock()
	for _, f := range due {
		f()
	}
}

// Cuts is how often a line is cut in one test: CYCLOPS_CUTS, or few enough for every day.
func Cuts() int {
	n, err := strconv.Atoi(os.Getenv("CYCLOPS_CUTS"))
	if err != nil {
		return 8
	}
	return n
}

// ResetEvery resets the line after so many bytes, so many times, and counts how often it has.
func (c *Cutter) ResetEvery(bytes int64, times int) (done *atomic.Int64) {
	done = new(atomic.Int64)
	var cut func()
	cut = func() {
		c.Reset()
		if done.Add(1) < int64(times) {
			c.OnBytes(bytes, cut)
		}
	}
	c.OnBytes(bytes, cut)
	return done
}
