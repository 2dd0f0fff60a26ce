//go:build linux

package environ

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// CaptureLimit is how long a login shell or a tool's set-up may take.
const CaptureLimit = 10 * time.Second

// The environment is printed between marks, because login files print greetings as well.
const (
	markBegin = "\x00cyclops environment begins\x00"
	markEnd   = "cyclops environment ends\x00"
)

// maxCapture bounds what a shell may print.
const maxCapture = 8 << 20

// Print writes this process's environment for Capture; it is the verb "env" of the executor.
func Print(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString(markBegin)
	for _, v := range os.Environ() {
		b.WriteString(v)
		b.WriteByte(0)
	}
	b.WriteString(markEnd)
	_, err := w.Write(b.Bytes())
	return err
}

func parse(out []byte) ([]string, error) {
	_, rest, ok := bytes.Cut(out, []byte(markBegin))
	body, _, ended := bytes.Cut(rest, []byte(markEnd))
	if !ok || !ended {
		return nil, errors.New("the shell did not print its environment")
	}
	var vars []string
	for v := range bytes.SplitSeq(body, []byte{0}) {
		if bytes.IndexByte(v, '=') > 0 {
			vars = append(vars, string(v))
		}
	}
	return vars, nil
}

// Capture asks the login shell for its environment, by letting it run self, the argv of this
// binary in the executor's role, with "env". When the shell cannot be asked, the environment of
// this process is taken and the warning says so.
func Capture(ctx context.Context, self []string) Login {
	shell := loginShell(ctx)
	vars, err := ask(ctx, loginCommand(shell, self), Clean(os.Environ()), "")
	if err == nil {
		return Login{Shell: shell, Vars: Clean(vars)}
	}
	return Login{
		Shell:   shell,
		Vars:    Clean(os.Environ()),
		Warning: fmt.Sprintf("jobs do not get the login environment: %s: %v", shell, err),
	}
}

// loginCommand makes shell a login shell. csh takes -l only alone, but any shell takes a leading
// dash in its own name.
func loginCommand(shell string, self []string) *exec.Cmd {
	line := "exec " + quote(self) + " env"
	if strings.HasSuffix(filepath.Base(shell), "csh") {
		return &exec.Cmd{Path: shell, Args: []string{"-" + filepath.Base(shell), "-c", line}}
	}
	return &exec.Cmd{Path: shell, Args: []string{shell, "-lc", line}}
}

// ask runs cmd to its end in a session of its own, without a terminal it could wait for.
func ask(ctx context.Context, cmd *exec.Cmd, env []string, dir string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, CaptureLimit)
	defer cancel()
	out, errs := &capped{left: maxCapture}, &capped{left: 4096}
	run := exec.CommandContext(ctx, cmd.Path)
	run.Args, run.Env, run.Dir, run.Stdout, run.Stderr = cmd.Args, env, dir, out, errs
	run.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	run.Cancel = func() error { return syscall.Kill(-run.Process.Pid, syscall.SIGKILL) }
	run.WaitDelay = time.Second
	err := run.Run()
	if vars, perr := parse(out.Bytes()); perr == nil {
		return vars, nil
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("no answer within %v", CaptureLimit)
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err == nil:
		err = errors.New("ended without running what it was told")
	}
	if said := strings.TrimSpace(errs.String()); said != "" {
		return nil, fmt.Errorf("%w: %s", err, said)
	}
	return nil, err
}

// loginShell returns this user's shell: $SHELL, else the user database's, else /bin/sh.
func loginShell(ctx context.Context) string {
	if s := os.Getenv("SHELL"); filepath.IsAbs(s) {
		return s
	}
	if s := databaseShell(ctx); filepath.IsAbs(s) {
		return s
	}
	return "/bin/sh"
}

// databaseShell asks getent, which knows users of LDAP too.
func databaseShell(ctx context.Context) string {
	me, err := user.Current()
	if err != nil {
		return ""
	}
	line, err := exec.CommandContext(ctx, "getent", "passwd", me.Uid).Output()
	if err != nil {
		return ""
	}
	fields := strings.Split(strings.TrimSpace(string(line)), ":")
	return fields[len(fields)-1]
}

// quote writes argv for any shell.
func quote(argv []string) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		words[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
	}
	return strings.Join(words, " ")
}

// capped keeps the first bytes that are written to it and swallows the rest, so that a shell
// that prints for ever cannot fill the memory.
type capped struct {
	bytes.Buffer
	left int
}

func (c *capped) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.left -= n
	c.Buffer.Write(p[:n])
	return len(p), nil
}
