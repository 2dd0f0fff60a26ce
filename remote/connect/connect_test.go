//go:build linux

package connect

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// ways are the two ways to a host by SSH.
var ways = map[string]time.Duration{"link": time.Minute, "direct": 0}

func each(t *testing.T, f func(t *testing.T, idle time.Duration)) {
	t.Parallel()
	for name, idle := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, idle)
		})
	}
}

func TestExec(t *testing.T) {
	each(t, func(t *testing.T, idle time.Duration) {
		c := open(t, sshtest.Start(t, sshtest.Options{Account: true}), idle, nil)
		big := bytes.Repeat([]byte("0123456789abcdef"), 20<<10)
		for _, q := range []struct {
			command, stdin, stdout, stderr string
			code                           int
		}{
			{"echo out; echo err >&2; exit 3", "", "out\n", "err\n", 3},
			{"cat", "in\n", "in\n", "", 0},
			{"cat", "", "", "", 0},
			{"kill -9 $$", "", "", "", 137},
			{"wc -c", string(big), "327680\n", "", 0},
		} {
			r, err := c.Exec(t.Context(), q.command, strings.NewReader(q.stdin))
			if err != nil {
				t.Fatalf("%s: %v", q.command, err)
			}
			if string(r.Stdout) != q.stdout || string(r.Stderr) != q.stderr || r.Code != q.code {
				t.Errorf("%s: %q %q %d", q.command, r.Stdout, r.Stderr, r.Code)
			}
		}
	})
}

func TestExecOutputIsCapped(t *testing.T) {
	each(t, func(t *testing.T, idle time.Duration) {
		c := open(t, sshtest.Start(t, sshtest.Options{}), idle, nil)
		r, err := c.Exec(t.Context(), "head -c 3000000 /dev/zero; echo done >&2", nil)
		if err != nil || len(r.Stdout) != MaxOutput || string(r.Stderr) != "done\n" {
			t.Errorf("%d bytes, %q, %v", len(r.Stdout), r.Stderr, err)
		}
	})
}

func TestSFTP(t *testing.T) {
	each(t, func(t *testing.T, idle time.Duration) {
		s := sshtest.Start(t, sshtest.Options{Account: true})
		c := open(t, s, idle, nil)
		data := bytes.Repeat([]byte("content "), 1<<18)
		transfer(t, c, filepath.Join(s.Home, "file"), data)
	})
}

func TestSFTPByTheExecutorWhereTheSubsystemIsOff(t *testing.T) {
	each(t, func(t *testing.T, idle time.Duration) {
		s := sshtest.Start(t, sshtest.Options{NoSFTP: true})
		executor(t, s)
		c := open(t, s, idle, nil)
		transfer(t, c, filepath.Join(s.Home, "file"), []byte("content"))
	})
}

func transfer(t *testing.T, c *Conn, path string, data []byte) {
	t.Helper()
	client, err := c.SFTP(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	w, err := client.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	r, err := client.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes back, %v", len(got), err)
	}
}

func TestExchange(t *testing.T) {
	for name, opt := range map[string]sshtest.Options{
		"stock": {Account: true}, "no forwarding": {NoStreamLocal: true}, "no sftp": {NoSFTP: true},
		"one session": {MaxSessions: 1},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, idle time.Duration) {
				s := sshtest.Start(t, opt)
				executor(t, s)
				c := open(t, s, idle, nil)
				for range 8 {
					conn, err := c.Exchange(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if got := say(t, conn, "hello"); got != "echo hello" {
						t.Errorf("said %q", got)
					}
					conn.Close()
				}
			})
		})
	}
}

// Without a session channel on the connection sshd leaves Nagle's algorithm on, and each of
// these answers takes 40 ms.
func TestSmallExchangesDoNotStall(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	executor(t, s)
	d := dirs(t)
	change := func(_ *hosts.Host, o *Options) { o.Dirs = d }
	first := open(t, s, 0, change)
	learnSocket(t, first)
	first.Close()
	c := open(t, s, 0, change)
	conn, err := c.Exchange(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, dialled := conn.(streamConn).stream.(*held).stream.(*buffered); dialled {
		t.Fatal("went through dial: the remembered socket was not used")
	}
	const rounds = 20
	start := time.Now()
	for range rounds {
		say(t, conn, "x")
	}
	if took := time.Since(start) / rounds; took > 25*time.Millisecond {
		t.Errorf("an exchange takes %v", took)
	}
}

// learnSocket makes one exchange and waits until the direct way is known.
func learnSocket(t *testing.T, c *Conn) {
	t.Helper()
	conn, err := c.Exchange(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	s := c.way.(*direct).connector.live()
	s.mu.Lock()
	s.ending = true // no more tasks
	s.mu.Unlock()
	for s.socket() == "" {
		if t.Context().Err() != nil {
			t.Fatal("the socket was not learnt")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestHostWithoutExecutor(t *testing.T) {
	each(t, func(t *testing.T, idle time.Duration) {
		c := open(t, sshtest.Start(t, sshtest.Options{}), idle, nil)
		_, err := c.Exchange(t.Context())
		var e *api.Error
		if !errors.As(err, &e) || e.Kind != api.NoExecutor || e.Hint != "cyclops install lab" {
			t.Errorf("%v, hint %+v", err, e)
		}
	})
}

// A dial that was killed on the host said "does not start: " and nothing behind it.
func TestADialThatIsKilledIsToldInWords(t *testing.T) {
	each(t, func(t *testing.T, idle time.Duration) {
		s := sshtest.Start(t, sshtest.Options{ForceCommand: "kill -9 $$"})
		_, err := open(t, s, idle, nil).Hello(t.Context())
		if api.KindOf(err) != api.NoExecutor || !strings.HasSuffix(err.Error(), "does not start: it ended before it said who answers") {
			t.Errorf("got %v", err)
		}
	})
}

func TestUnreachable(t *testing.T) {
	each(t, func(t *testing.T, idle time.Duration) {
		s := sshtest.Start(t, sshtest.Options{})
		s.Down()
		_, err := open(t, s, idle, nil).Exec(t.Context(), "true", nil)
		if api.KindOf(err) != api.Unreachable {
			t.Errorf("kind %d: %v", api.KindOf(err), err)
		}
	})
}

func TestJump(t *testing.T) {
	each(t, func(t *testing.T, idle time.Duration) {
		gate := sshtest.Start(t, sshtest.Options{Name: "gate"})
		inner := sshtest.Start(t, sshtest.Options{Name: "inner", Jump: gate})
		r, err := open(t, inner, idle, nil).Exec(t.Context(), "echo $HOME", nil)
		if err != nil || strings.TrimSpace(string(r.Stdout)) != inner.Home {
			t.Errorf("%q, %v", r.Stdout, err)
		}
	})
}

func TestProxyCommand(t *testing.T) {
	each(t, func(t *testing.T, idle time.Duration) {
		gate := sshtest.Start(t, sshtest.Options{Name: "gate"})
		s := sshtest.Start(t, sshtest.Options{})
		cfg := s.Config("proxied", "ProxyCommand ssh -F "+gate.ConfigFile+" -W %h:%p gate")
		c := open(t, s, idle, func(_ *hosts.Host, o *Options) { o.SSHConfig = cfg })
		if r, err := c.Exec(t.Context(), "echo through", nil); err != nil || string(r.Stdout) != "through\n" {
			t.Errorf("%q, %v", r.Stdout, err)
		}
	})
}

func TestMasterOfTheUserIsReused(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	executor(t, s)
	path := filepath.Join(s.Dir, "master")
	cfg := s.Config("mastered", "ControlPath "+path)
	stop := startMaster(t, cfg, s.Name)
	defer stop()
	c := open(t, s, 0, func(_ *hosts.Host, o *Options) { o.SSHConfig = cfg })
	if r, err := c.Exec(t.Context(), "exit 5", nil); err != nil || r.Code != 5 {
		t.Errorf("%d, %v", r.Code, err)
	}
	if !c.way.(*direct).connector.live().conn.shared {
		t.Error("made a connection of its own")
	}
	for range 3 {
		conn, err := c.Exchange(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := say(t, conn, "m"); got != "echo m" {
			t.Errorf("said %q", got)
		}
		conn.Close()
	}
	transfer(t, c, filepath.Join(s.Home, "f"), []byte("content"))
}

func TestCancelledWhileAsking(t *testing.T) {
	each(t, func(t *testing.T, idle time.Duration) {
		s := sshtest.Start(t, sshtest.Options{Unknown: true})
		ctx, cancel := context.WithCancel(t.Context())
		asks := promptFunc(func(ctx context.Context, _ Prompt) (string, error) {
			cancel()
			<-ctx.Done()
			return "", ctx.Err()
		})
		c := open(t, s, idle, func(_ *hosts.Host, o *Options) { o.Prompter = asks })
		if _, err := c.Exec(ctx, "true", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}

type promptFunc func(context.Context, Prompt) (string, error)

func (f promptFunc) Prompt(ctx context.Context, p Prompt) (string, error) { return f(ctx, p) }
