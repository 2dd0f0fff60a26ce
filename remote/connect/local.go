package connect

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
)

// local is the way to the executor of this machine.
type local struct {
	host hosts.Host
	self []string
}

// data is the executor's data directory; the flag is set when it is not the default.
func (l *local) data() (string, []string, error) {
	if l.host.Data == "" {
		d, err := api.DefaultData()
		return d, nil, err
	}
	dir := l.host.Data
	if rest, ok := strings.CutPrefix(dir, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", nil, err
		}
		dir = home + "/" + rest
	}
	return dir, []string{"--data", dir}, nil
}

func (l *local) exchange(ctx context.Context) (net.Conn, error) {
	data, _, err := l.data()
	if err != nil {
		return nil, err
	}
	if path := api.Socket(data); len(path) <= api.MaxSocketPath {
		var d net.Dialer
		if conn, err := d.DialContext(ctx, "unix", path); err == nil {
			return conn, nil
		}
	}
	p, hello, err := l.dial(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkHello(hosts.Local, hello); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (l *local) hello(ctx context.Context) (api.Hello, error) {
	p, hello, err := l.dial(ctx)
	if err != nil {
		return hello, err
	}
	p.Close()
	return hello, checkHello(hosts.Local, hello)
}

// dial starts the executor if need be and speaks with it through `executor dial`.
func (l *local) dial(ctx context.Context) (*process, api.Hello, error) {
	if runtime.GOOS != "linux" {
		return nil, api.Hello{}, api.Errorf(api.NoExecutor, "name a host with -H HOST", "executors run on Linux only")
	}
	p, err := l.spawn("dial")
	if err != nil {
		return nil, api.Hello{}, err
	}
	stop := context.AfterFunc(ctx, func() { p.Close() })
	defer stop()
	hello, err := readHello(p.out)
	if err != nil {
		p.Close()
		return nil, hello, errors.Join(ctx.Err(), api.Errorf(api.NoExecutor, "", "unable to start the executor of this machine: %w%s", err, p.said()))
	}
	return p, hello, nil
}

func (l *local) sftp(context.Context) (stream, error) { return l.spawn("sftp") }

// spawn runs a verb of this binary's executor on a pipe.
func (l *local) spawn(verb string) (*process, error) {
	_, flag, err := l.data()
	if err != nil {
		return nil, err
	}
	argv := append(append(append([]string{}, l.self...), "executor", verb), flag...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return !forExecutor(v) })
	return startProcess(cmd)
}

// forExecutor tells which variables an executor starts with that a client starts: those of a login.
// The rest would be in the environment of every later job, whoever's command happened to be first.
func forExecutor(v string) bool {
	name, _, _ := strings.Cut(v, "=")
	switch name {
	case "HOME", "USER", "LOGNAME", "SHELL", "PATH", "MAIL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "GORACE", "GOCOVERDIR":
		return true
	}
	return strings.HasPrefix(name, "LC_") || strings.HasPrefix(name, "CYCLOPS_")
}

func (l *local) exec(ctx context.Context, command string, stdin io.Reader) (ExecResult, error) {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	stdout, stderr := capped{limit: MaxOutput}, capped{limit: MaxOutput}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return ExecResult{}, api.Errorf(api.Internal, "", "unable to run %s: %w", command, err)
	}
	return ExecResult{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), Code: exitCode(cmd.ProcessState)}, ctx.Err()
}

func (l *local) close() error { return nil }

// capped keeps the first bytes that are written to it.
type capped struct {
	kept  bytes.Buffer
	limit int
}

func (c *capped) Write(p []byte) (int, error) {
	c.kept.Write(p[:min(len(p), c.limit-c.kept.Len())])
	return len(p), nil
}

func (c *capped) Bytes() []byte  { return c.kept.Bytes() }
func (c *capped) String() string { return strings.TrimSpace(c.kept.String()) }

// firstLine is a reader that Hello is taken from and the rest of the stream read through.
func firstLine(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, 16<<10) }
