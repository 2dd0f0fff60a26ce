//go:build linux

// Package sshtest starts OpenSSH's own server on a loopback port for a test, with keys, a home and
// client configuration of its own. Only tests import it.
package sshtest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Options say how a server differs from a stock one that this user logs in to by a key.
type Options struct {
	Name          string   // alias in ssh_config; "lab" when empty
	Account       bool     // log in to a second, unprivileged account; needs root, else the same as without
	Password      string   // let the account in by this password and by no key; implies Account
	Interactive   bool     // ask for Password by keyboard-interactive instead
	MaxSessions   int      // 0: sshd's own, which is 10
	NoStreamLocal bool     // AllowStreamLocalForwarding no
	NoSFTP        bool     // no sftp subsystem
	ForceCommand  string   //
	HostCA        bool     // known_hosts trusts a certificate authority, not the key
	UserCA        bool     // the server trusts a certificate of the user, not the key
	Passphrase    string   // of the user's key
	Unknown       bool     // known_hosts does not know the host
	Jump          *Server  // reached through this one by ProxyJump
	Extra         []string // further lines of sshd_config
	Env           []string // further environment of sshd itself
	PAM           []string // what PAM asks for; needs root
	Net           *Net     // listens in the network's host, not on loopback
}

// Server is a running sshd.
type Server struct {
	Name       string // alias in ConfigFile
	Addr       string // 127.0.0.1:PORT
	Port       int
	User       string
	Home       string // $HOME of what runs there; short enough for socket paths
	ConfigFile string // ssh_config: alias, key, known hosts
	KnownHosts string
	Identity   string // private key of the user
	Log        string // sshd's own
	Dir        string

	t      testing.TB
	opt    Options
	sshd   string
	cmd    *exec.Cmd
	mu     sync.Mutex
	logged sync.WaitGroup
}

// Start runs a server until the test ends. The test is skipped when there is no sshd, unless
// CI is set, where that is a failure.
func Start(t testing.TB, opt Options) *Server {
	t.Helper()
	s := &Server{t: t, opt: opt, sshd: findSSHD(t), Name: opt.Name}
	if s.Name == "" {
		s.Name = "lab"
	}
	s.Dir = shortDir(t)
	s.User = s.login()
	s.Home = filepath.Join(s.Dir, "home")
	s.must(os.Mkdir(s.Home, 0o755))
	s.own(s.Home)
	s.keys()
	s.pam()
	s.run(0)
	t.Cleanup(s.stop)
	s.writeClient()
	if !opt.Unknown {
		s.trust()
	}
	return s
}

func findSSHD(t testing.TB) string {
	t.Helper()
	for _, p := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd"} {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("no sshd: apt-get install openssh-server")
	}
	t.Skip("no sshd: apt-get install openssh-server")
	return ""
}

// shortDir is a directory that other accounts may enter and that leaves room for socket paths.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "sshd-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("unable to clean up: %v", err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (s *Server) login() string {
	if s.opt.Password != "" && os.Getuid() != 0 {
		s.t.Skip("a password of its own for an account needs root")
	}
	if (s.opt.Account || s.opt.Password != "") && os.Getuid() == 0 {
		return account(s.t, s.opt.Password)
	}
	me, err := user.Current()
	s.must(err)
	return me.Username
}

// own gives a file to the user that logs in.
func (s *Server) own(path string) {
	u, err := user.Lookup(s.User)
	s.must(err)
	uid, err := strconv.Atoi(u.Uid)
	s.must(err)
	gid, err := strconv.Atoi(u.Gid)
	s.must(err)
	s.must(os.Chown(path, uid, gid))
}

func (s *Server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// run starts sshd on port, or on a free one when port is 0.
func (s *Server) run(port int) {
	s.t.Helper()
	const tries = 20 // another process may take a free port before sshd does
	for range tries {
		s.Port = port
		if port == 0 {
			s.Port = freePort(s.t)
		}
		s.Addr = net.JoinHostPort(s.host(), strconv.Itoa(s.Port))
		s.writeServer()
		if s.launch() {
			return
		}
	}
	log, _ := os.ReadFile(s.Log)
	s.t.Fatalf("sshd does not start: %s", log)
}

func (s *Server) host() string {
	if s.opt.Net != nil {
		return s.opt.Net.Host
	}
	return "127.0.0.1"
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// launch starts sshd and waits until it says that it listens; false: it ended before.
func (s *Server) launch() bool {
	s.t.Helper()
	if os.Getuid() == 0 {
		s.must(os.MkdirAll("/run/sshd", 0o755)) // sshd refuses to start without
	}
	r, w, err := os.Pipe()
	s.must(err)
	s.cmd = exec.Command(s.sshd, "-D", "-e", "-f", filepath.Join(s.Dir, "sshd_config"))
	if s.opt.Net != nil {
		s.cmd = in(s.opt.Net.far, s.cmd)
	}
	s.cmd.Stderr = w
	s.cmd.Env = append(os.Environ(), s.opt.Env...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	s.must(s.cmd.Start())
	w.Close()
	listens := make(chan bool, 1)
	s.logged.Go(func() { s.copyLog(r, listens) })
	if <-listens {
		return true
	}
	_ = s.cmd.Wait()
	return false
}

func (s *Server) copyLog(r io.ReadCloser, listens chan<- bool) {
	defer r.Close()
	defer func() { listens <- false }()
	f, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return
	}
	defer f.Close()
	lines, said := bufio.NewReader(r), false
	for {
		line, err := lines.ReadString('\n')
		fmt.Fprint(f, line)
		if !said && strings.HasPrefix(line, "Server listening on") {
			said = true
			listens <- true
		}
		if err != nil {
			return
		}
	}
}

// Drop cuts every connection, as a network that fails would have it in the end; new ones are let in.
func (s *Server) Drop() {
	for _, pid := range serving(s.cmd.Process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// Freeze stops the processes that serve connections, until the test ends: the line stands, and
// nothing comes any more.
func (s *Server) Freeze() {
	for _, pid := range serving(s.cmd.Process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGSTOP)
	}
}

// Down cuts every connection and lets none in until Up.
func (s *Server) Down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	s.Drop()
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Up starts the server again on the same port.
func (s *Server) Up() { s.run(s.Port) }

// stop ends the server and whatever still runs in its home: an executor outlives its connection.
func (s *Server) stop() {
	s.Down()
	killHome(s.Home)
	s.logged.Wait()
	if s.t.Failed() {
		if log, err := os.ReadFile(s.Log); err == nil {
			s.t.Logf("sshd said:\n%s", tail(log, 4<<10))
		}
	}
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// Put writes a file below the home, owned like its directories by the user that logs in.
func (s *Server) Put(name string, data []byte, mode os.FileMode) {
	s.t.Helper()
	at := s.Home
	for _, part := range strings.Split(filepath.Dir(name), "/") {
		if part == "." {
			continue
		}
		at = filepath.Join(at, part)
		if err := os.Mkdir(at, 0o755); err == nil {
			s.own(at)
		}
	}
	path := filepath.Join(s.Home, name)
	s.must(os.WriteFile(path, data, mode))
	s.own(path)
}
