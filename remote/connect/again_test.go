//go:build linux

package connect

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// deaf listens with room for no connection: the kernel drops what comes, as a network that is
// away does. The function it returns lets connections in.
func deaf(t *testing.T) (string, func()) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}).String()
	fill, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fill.Close() })
	return address, func() {
		if c, _, err := syscall.Accept(fd); err == nil {
			t.Cleanup(func() { syscall.Close(c) })
		}
	}
}

// The kernel alone would try after 1, 3 and 7 s.
func TestConnectsSoonAfterTheNetworkIsBack(t *testing.T) {
	t.Parallel()
	address, hear := deaf(t)
	const away = 3500 * time.Millisecond
	began := time.Now()
	time.AfterFunc(away, hear)
	c, err := dialTCP(t.Context(), "tcp", address, 15*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if took := time.Since(began); took > away+2*time.Second {
		t.Errorf("connected %v after the network was back", took-away)
	}
}

func TestConnectGivesUp(t *testing.T) {
	t.Parallel()
	address, _ := deaf(t)
	began := time.Now()
	_, err := dialTCP(t.Context(), "tcp", address, 1200*time.Millisecond)
	if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "no answer") || took > 3*time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

// A key that was unlocked once is not asked about again while the link lives: after a break
// nobody may be there, or the terminal is a job's.
func TestReconnectsWithoutAsking(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{Passphrase: "sesame"})
	executor(t, s)
	cut := s.Cutter()
	p := &person{answers: map[string]string{PromptPassphrase: "sesame"}}
	c := open(t, s, time.Minute, func(_ *hosts.Host, o *Options) { o.SSHConfig, o.Prompter = cut.ConfigFile, p })
	for range 3 {
		x, err := c.Exchange(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := say(t, x, "hello"); got != "echo hello" {
			t.Errorf("said %q", got)
		}
		cut.Reset()
		_, _ = x.Read(make([]byte, 1)) // until it is noticed
		x.Close()
	}
	if asked := p.kinds(); asked != PromptPassphrase || cut.Accepted() < 3 {
		t.Errorf("asked for %q in %d connections", asked, cut.Accepted())
	}
}

// A frozen line must fail what goes through it in 5 s, and serve again within 2 s of its return.
func TestFrozenLineIsNoticedAndLeft(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	executor(t, s)
	cut := s.Cutter()
	c := open(t, s, time.Minute, func(_ *hosts.Host, o *Options) { o.SSHConfig = cut.ConfigFile })
	x, err := c.Exchange(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	say(t, x, "hello")
	cut.Freeze()
	began := time.Now()
	if _, err := x.Read(make([]byte, 1)); err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("a frozen line was noticed after %v: %v", time.Since(began), err)
	}
	time.AfterFunc(3*time.Second, cut.Thaw)
	began = time.Now()
	y, err := c.Exchange(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	say(t, y, "again")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("served again %v after the line was back", took-3*time.Second)
	}
}

// A link that is stopped must not hold a command for ever.
func TestSilentLinkIsGivenUp(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	executor(t, s)
	c := open(t, s, time.Minute, nil)
	x, err := c.Exchange(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	x.Close()
	pid := linkProcess(t, c)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	began := time.Now()
	if _, err := c.Exchange(ctx); api.KindOf(err) != api.LostContact || time.Since(began) > 6*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

// linkProcess finds who listens at the link's socket.
func linkProcess(t *testing.T, c *Conn) int {
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
	pid := 0
	_ = raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	if pid <= 1 {
		t.Fatal("nobody listens for the link")
	}
	return pid
}

// A line that breaks while the executor is being dialled says nothing of the executor.
func TestALineThatBreaksDuringDial(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	s.Put(".cyclops/bin/current", []byte("#!/bin/sh\necho > \"$HOME/dials\"\nexec sleep 60\n"), 0o755)
	dials := filepath.Join(s.Home, "dials")
	if err := syscall.Mkfifo(dials, 0o600); err != nil {
		t.Fatal(err)
	}
	cut := s.Cutter()
	for range 3 {
		c := open(t, s, 0, func(_ *hosts.Host, o *Options) { o.SSHConfig = cut.ConfigFile })
		var cuts sync.WaitGroup
		cuts.Go(func() {
			for range 2 { // it is tried twice
				_, _ = os.ReadFile(dials) // returns when dial runs
				cut.Reset()
			}
		})
		if _, err := c.Hello(t.Context()); api.KindOf(err) != api.LostContact {
			t.Errorf("%v", err)
			if f, err := os.OpenFile(dials, os.O_RDWR, 0); err == nil { // it may not have been tried again
				f.Close()
			}
		}
		cuts.Wait()
		c.Close()
	}
}
