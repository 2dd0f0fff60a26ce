//go:build linux

package connect

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// connectionOf names the SSH connection that a command runs through.
func connectionOf(t *testing.T, c *Conn) string {
	t.Helper()
	r, err := c.Exec(t.Context(), "echo $SSH_CONNECTION", nil)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(r.Stdout))
}

func TestClientsShareOneConnection(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	d := dirs(t)
	var mu sync.Mutex
	seen := map[string]bool{}
	var clients sync.WaitGroup
	for range 5 {
		c := open(t, s, time.Minute, func(_ *hosts.Host, o *Options) { o.Dirs = d })
		clients.Go(func() {
			at := connectionOf(t, c)
			mu.Lock()
			defer mu.Unlock()
			seen[at] = true
		})
	}
	clients.Wait()
	if len(seen) != 1 {
		t.Errorf("connections: %v", seen)
	}
}

func TestLinkLeavesWhenIdle(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	c := open(t, s, 200*time.Millisecond, nil)
	first := connectionOf(t, c)
	path := c.way.(*link).cfg.socketPath()
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(path); os.IsNotExist(err) {
			break
		}
		if time.Since(start) > 10*time.Second {
			t.Fatal("the link stays")
		}
	}
	if second := connectionOf(t, c); second == first {
		t.Error("the next command found the old connection")
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	c := open(t, s, time.Minute, nil)
	l := c.way.(*link)
	if err := os.Mkdir(l.cfg.Dirs.Runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: l.cfg.socketPath()})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	connectionOf(t, c)
}

func TestSocketIsPrivate(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	c := open(t, s, time.Minute, nil)
	connectionOf(t, c)
	path := c.way.(*link).cfg.socketPath()
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", p, info.Mode(), err)
		}
	}
}

func TestRuntimeDirectoryOfOthersIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	linked := filepath.Join(dir, "linked")
	if err := os.Symlink(open, linked); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{open, linked} {
		if err := ownDirectory(p); err == nil {
			t.Errorf("%s is taken", p)
		}
	}
	if err := ownDirectory(filepath.Join(dir, "new")); err != nil {
		t.Error(err)
	}
}

func TestLostConnectionIsMadeAgain(t *testing.T) {
	each(t, func(t *testing.T, idle time.Duration) {
		s := sshtest.Start(t, sshtest.Options{})
		executor(t, s)
		c := open(t, s, idle, nil)
		for range 3 {
			conn, err := c.Exchange(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := say(t, conn, "x"); got != "echo x" {
				t.Errorf("said %q", got)
			}
			s.Drop()
			if _, err := conn.Read(make([]byte, 1)); err == nil {
				t.Error("the exchange goes on without its connection")
			}
			conn.Close()
		}
	})
}

// A cable that is pulled says nothing: sshd's processes are stopped, so that no byte comes.
func TestSilentLineIsNoticed(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	executor(t, s)
	c := open(t, s, 0, nil)
	conn, err := c.Exchange(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	say(t, conn, "x")
	s.Freeze()
	start := time.Now()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("something came")
	}
	if took := time.Since(start); took > 6*time.Second {
		t.Errorf("noticed after %v", took)
	}
}

func TestLinkDiesWithItsClientsWaiting(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	executor(t, s)
	c := open(t, s, time.Minute, nil)
	conn, err := c.Exchange(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	pid := linkPID(t, c)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("something came")
	}
	connectionOf(t, c)
}

// linkPID finds the link's process by who listens on the socket.
func linkPID(t *testing.T, c *Conn) int {
	t.Helper()
	conn, err := net.Dial("unix", c.way.(*link).cfg.socketPath())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var cred *syscall.Ucred
	if err := raw.Control(func(fd uintptr) {
		cred, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil || cred == nil {
		t.Fatal(err)
	}
	return int(cred.Pid)
}

func BenchmarkCold(b *testing.B) {
	s := sshtest.Start(b, sshtest.Options{})
	executor(b, s)
	d := dirs(b)
	for b.Loop() {
		c := open(b, s, time.Minute, func(_ *hosts.Host, o *Options) { o.Dirs = d })
		conn, err := c.Exchange(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		say(b, conn, "x")
		conn.Close()
		b.StopTimer()
		if err := StopLink(b.Context(), c); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func BenchmarkWarm(b *testing.B) {
	s := sshtest.Start(b, sshtest.Options{})
	executor(b, s)
	c := open(b, s, time.Minute, nil)
	for b.Loop() {
		conn, err := c.Exchange(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if got := say(b, conn, "x"); got != "echo x" {
			b.Fatal(got)
		}
		conn.Close()
	}
}

// BenchmarkOpenSSH is what the two above are held against.
func BenchmarkOpenSSH(b *testing.B) {
	s := sshtest.Start(b, sshtest.Options{})
	master := s.Config("master", "ControlPath "+filepath.Join(s.Dir, "m"))
	for name, cfg := range map[string]string{"cold": s.ConfigFile, "master": master} {
		b.Run(name, func(b *testing.B) {
			if name == "master" {
				start := exec.Command("ssh", "-F", cfg, "-M", "-N", "-f", s.Name)
				if err := start.Run(); err != nil {
					b.Fatal(err)
				}
				defer func() { _ = exec.Command("ssh", "-F", cfg, "-O", "exit", s.Name).Run() }()
			}
			for b.Loop() {
				if err := exec.Command("ssh", "-F", cfg, s.Name, "true").Run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
