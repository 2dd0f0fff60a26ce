//go:build linux

package connect

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pkg/sftp"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/place"
	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// TestMain lets the test binary be the link, and on the host a tiny executor that echoes: what is
// tested here is how exchanges get there, not what they say.
func TestMain(m *testing.M) {
	if AskpassRole(os.Args) {
		os.Exit(Askpass(os.Args, os.Stdout))
	}
	verb := ""
	if len(os.Args) > 1 {
		verb = os.Args[1]
	}
	switch verb {
	case LinkVerb:
		os.Exit(ServeLink(context.Background()))
	case "dial":
		os.Exit(echoDial())
	case "serve":
		os.Exit(echoServe())
	case "master":
		os.Exit(holdMaster(os.Args[2], os.Args[3], os.Args[4]))
	case "sftp":
		s, err := sftp.NewServer(struct {
			io.Reader
			io.WriteCloser
		}{os.Stdin, os.Stdout})
		if err != nil {
			os.Exit(1)
		}
		_ = s.Serve()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func echoData() layout.Data { return layout.Data(filepath.Join(os.Getenv("HOME"), ".cyclops")) }

// echoDial starts the echo server unless it runs, and carries bytes to it.
func echoDial() int {
	d := echoData()
	conn, err := net.Dial("unix", d.Socket())
	if err != nil {
		conn, err = echoStart(d)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	hello, _ := json.Marshal(api.Hello{API: 1, MinAPI: 1, Executor: "echo", Socket: d.Socket(), Data: string(d)})
	fmt.Printf("%s\n", hello)
	var up sync.WaitGroup
	up.Go(func() { _, _ = io.Copy(conn, os.Stdin); _ = conn.(*net.UnixConn).CloseWrite() })
	_, _ = io.Copy(os.Stdout, conn)
	return 0
}

func echoStart(d layout.Data) (net.Conn, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(os.Args[0], "serve")
	cmd.Stdout = w
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	w.Close()
	if _, err := io.ReadAll(r); err != nil {
		return nil, err
	}
	return net.Dial("unix", d.Socket())
}

func echoServe() int {
	d := echoData()
	if err := d.Create(); err != nil {
		return 1
	}
	os.Remove(d.Socket())
	l, err := net.Listen("unix", d.Socket())
	if err != nil {
		return 1
	}
	os.Stdout.Close()
	for {
		c, err := l.Accept()
		if err != nil {
			return 1
		}
		go echo(c)
	}
}

// echo answers each line in two small writes: Nagle's algorithm would hold the second back.
func echo(c net.Conn) {
	defer c.Close()
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		fmt.Fprint(c, "echo ")
		time.Sleep(time.Millisecond) // so that the two travel apart
		fmt.Fprintln(c, lines.Text())
	}
}

// person answers prompts from a list.
type person struct {
	mu      sync.Mutex
	answers map[string]string // by kind
	asked   []Prompt
}

func (p *person) Prompt(_ context.Context, q Prompt) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, q)
	a, ok := p.answers[q.Kind]
	if !ok {
		return "", fmt.Errorf("declined")
	}
	return a, nil
}

func (p *person) kinds() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var kinds []string
	for _, q := range p.asked {
		kinds = append(kinds, q.Kind)
	}
	return strings.Join(kinds, " ")
}

func dirs(t testing.TB) place.Dirs {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "link-") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return place.Dirs{
		Config: filepath.Join(dir, "config"), State: filepath.Join(dir, "state"),
		Cache: filepath.Join(dir, "cache"), Runtime: filepath.Join(dir, "run"),
	}
}

// open connects to s, through a link when idle is not zero.
func open(t testing.TB, s *sshtest.Server, idle time.Duration, change func(*hosts.Host, *Options)) *Conn {
	t.Helper()
	h := hosts.Host{Name: s.Name, Address: s.Name, LinkIdle: idle}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	opt := Options{Dirs: dirs(t), SSHConfig: s.ConfigFile, Self: []string{self}}
	if change != nil {
		change(&h, &opt)
	}
	c := Open(h, opt)
	t.Cleanup(func() {
		if err := StopLink(context.Background(), c); err != nil {
			t.Error(err)
		}
		c.Close()
	})
	return c
}

// executor puts the echoing executor on the host.
func executor(t testing.TB, s *sshtest.Server) {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	s.Put(".cyclops/bin/current", self, 0o755)
}

func say(t testing.TB, c net.Conn, text string) string {
	t.Helper()
	fmt.Fprintln(c, text)
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Errorf("no answer to %q: %v", text, err)
	}
	return strings.TrimSpace(line)
}
