//go:build linux

package carry

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/connect"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/place"
	"github.com/cyclops-fpga/cyclops/remote/retry"
	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// TestMain lets the test binary be the link.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == connect.LinkVerb {
		os.Exit(connect.ServeLink(context.Background()))
	}
	os.Exit(m.Run())
}

// counter counts the channels that are opened.
type counter struct {
	Opener
	opened atomic.Int64
}

func (c *counter) Bulk(ctx context.Context) (io.ReadWriteCloser, error) {
	s, err := c.Opener.Bulk(ctx)
	if err == nil {
		c.opened.Add(1)
	}
	return s, err
}

func overSSH(t testing.TB, s *sshtest.Server, config string) *counter {
	t.Helper()
	return overHost(t, hosts.Host{Name: s.Name, Address: s.Name}, config)
}

// overLink goes through a link's process, as commands do.
func overLink(t testing.TB, s *sshtest.Server, config string) *counter {
	t.Helper()
	return overHost(t, hosts.Host{Name: s.Name, Address: s.Name, LinkIdle: time.Minute}, config)
}

func overHost(t testing.TB, h hosts.Host, config string) *counter {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "carry-") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	dirs := place.Dirs{State: dir, Runtime: filepath.Join(dir, "run"), Cache: dir, Config: dir}
	conn := connect.Open(h, connect.Options{Dirs: dirs, SSHConfig: config, Self: []string{os.Args[0]}})
	t.Cleanup(func() {
		if err := connect.StopLink(context.Background(), conn); err != nil {
			t.Error(err)
		}
		conn.Close()
	})
	return &counter{Opener: conn}
}

func file(t testing.TB, size int) (name string, data []byte) {
	t.Helper()
	data = make([]byte, size)
	_, _ = rand.Read(data)
	name = filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return name, data
}

// readAll reads a file through c.
func readAll(t testing.TB, c *Channels, name string, size int) ([]byte, error) {
	t.Helper()
	f, err := c.Open(t.Context(), name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	got := make([]byte, size)
	n, err := f.ReadAt(got, 0)
	return got[:n], err
}

func TestChannelsAreOpenedAsNeeded(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	opener := overSSH(t, s, s.ConfigFile)
	c := New(opener, 3, nil)
	defer c.Close()
	if opener.opened.Load() != 0 {
		t.Error("a channel was opened before there was a need")
	}
	name, data := file(t, 100_000)
	if got, err := readAll(t, c, name, len(data)); err != nil || !bytes.Equal(got, data) || opener.opened.Load() != 1 {
		t.Errorf("one file: %d bytes, %v, %d channels", len(got), err, opener.opened.Load())
	}
	var open []*File
	for range 6 {
		f, err := c.Open(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, f)
	}
	if opener.opened.Load() != 3 {
		t.Errorf("six files: %d channels", opener.opened.Load())
	}
	for _, f := range open {
		f.Close()
	}
	if _, err := c.Open(t.Context(), name+"none"); !errors.Is(err, os.ErrNotExist) || retry.Broken(err) {
		t.Errorf("no such file: %v", err)
	}
	if got, err := readAll(t, c, name, len(data)+1); !errors.Is(err, io.EOF) || len(got) != len(data) || opener.opened.Load() != 3 {
		t.Errorf("behind the end: %d bytes, %v, %d channels", len(got), err, opener.opened.Load())
	}
}

func TestFewChannelsServeAll(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{MaxSessions: 1})
	c := New(overSSH(t, s, s.ConfigFile), 3, nil)
	defer c.Close()
	name, data := file(t, 100_000)
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if got, err := readAll(t, c, name, len(data)); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	all.Wait()
}

// A server that prints something first never becomes one that speaks SFTP: waiting for it would be in vain.
func TestNoSFTP(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{ForceCommand: "echo Welcome to the laboratory; sleep 1"})
	c := New(overSSH(t, s, s.ConfigFile), 1, &retry.Patience{Limit: time.Minute})
	defer c.Close()
	began := time.Now()
	if _, err := c.Open(t.Context(), "x"); api.KindOf(err) != api.Invalid || time.Since(began) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

// A line that falls silent is noticed in 5 s, told, and the same read goes on when it is back.
func TestSilence(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	for name, over := range map[string]func(testing.TB, *sshtest.Server, string) *counter{"direct": overSSH, "link": overLink} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cut := s.Cutter()
			silence(t, cut, over(t, s, cut.ConfigFile))
		})
	}
}

func silence(t *testing.T, cut *sshtest.Cutter, opener Opener) {
	var frozen time.Time
	var noticed, resumed time.Duration
	var thawed time.Time
	p := &retry.Patience{}
	p.Lost = func(error) {
		noticed, thawed = time.Since(frozen), time.Now()
		cut.Thaw()
	}
	p.Back = func() { resumed = time.Since(thawed) }
	c := New(opener, 1, p)
	defer c.Close()
	name, data := file(t, 8<<20)
	cut.OnBytes(3<<20, func() {
		frozen = time.Now()
		cut.Freeze()
	})
	got, err := readAll(t, c, name, len(data))
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes, equal: %t, %v", len(got), bytes.Equal(got, data), err)
	}
	if noticed == 0 || noticed > 6*time.Second || resumed > 4*time.Second {
		t.Errorf("noticed after %v, back after %v", noticed, resumed)
	}
}

func TestWriteGoesOn(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	cut := s.Cutter()
	c := New(overSSH(t, s, cut.ConfigFile), 2, &retry.Patience{})
	defer c.Close()
	name := filepath.Join(t.TempDir(), "new")
	f, err := c.Create(t.Context(), name, 4)
	if err != nil {
		t.Fatal(err)
	}
	g, err := f.Beside()
	if err != nil {
		t.Fatal(err)
	}
	_, data := file(t, 100_000)
	write := func(f *File, from, to int) {
		if _, err := f.WriteAt(data[from:to], int64(from)); err != nil {
			t.Error(err)
		}
	}
	write(g, 50_000, 100_000)
	cut.Reset()
	write(f, 0, 50_000)
	if err := errors.Join(f.Close(), g.Close()); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := c.Remove(t.Context(), name); err != nil {
		t.Error(err)
	}
	c.Close()
	if _, err := c.Open(t.Context(), name); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	w := newWindow(6)
	enter := func() bool {
		ctx, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer stop()
		return w.enter(ctx) == nil
	}
	fill := func() (n int) {
		for enter() {
			n++
		}
		return n
	}
	if n := fill(); n != 6 {
		t.Errorf("%d fit at first", n)
	}
	for range 6 {
		w.leave(false)
	}
	if n := fill(); n != 1 {
		t.Errorf("%d fit after a break", n)
	}
	w.leave(true)
	for range slowly {
		if !enter() {
			t.Fatal("no room for one")
		}
		w.leave(true)
	}
	if n := fill(); n != 2 {
		t.Errorf("%d fit after %d acknowledgements", n, slowly+1)
	}
}

// Ctrl-C on a line that has fallen silent does not wait until that is noticed.
func TestGivingUpOnASilentLine(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	cut := s.Cutter()
	c := New(overLink(t, s, cut.ConfigFile), 2, &retry.Patience{})
	name, data := file(t, 8<<20)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	f, err := c.Open(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	var stopped time.Time
	cut.OnBytes(3<<20, func() {
		cut.Freeze()
		stopped = time.Now()
		stop()
	})
	_, err = f.ReadAt(make([]byte, len(data)), 0)
	f.Close()
	c.Close()
	if !errors.Is(err, context.Canceled) || time.Since(stopped) > 2*time.Second {
		t.Errorf("%v after %v", err, time.Since(stopped))
	}
}

// resetting is a host whose connections are reset as soon as they say something.
type resetting struct{ at string }

func (r resetting) Bulk(ctx context.Context) (io.ReadWriteCloser, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", r.at)
}

func TestResetWhileAChannelOpens(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1))
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}()
	c := New(resetting{l.Addr().String()}, 1, nil)
	defer c.Close()
	if _, err := c.Open(t.Context(), "f"); api.KindOf(err) != api.LostContact {
		t.Errorf("kind %d, %v", api.KindOf(err), err)
	}
}
