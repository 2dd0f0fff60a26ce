//go:build linux

package samepath

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/command"
)

// TestMain lets the test's own binary be the entering process.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[2] == "enter" {
		os.Exit(Enter(os.Args[3:]))
	}
	os.Exit(m.Run())
}

// whyNot is why this machine gives no namespaces; a skip must not hide that New is broken.
func needNamespaces(t testing.TB) {
	t.Helper()
	if why := Probe(t.Context(), []string{"cyclopsd", "executor"}, t.TempDir()); why != "" {
		flags := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS}
		if cmd := (&exec.Cmd{Path: "/bin/true", SysProcAttr: flags}); cmd.Run() == nil && os.Getenv("CI") != "" {
			t.Fatalf("the kernel gives namespaces, but: %s", why)
		}
		t.Skip(why)
	}
}

// asEveryone runs the test as it is and, where that is root, again as a user with no rights.
func asEveryone(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	needNamespaces(t)
	test(t)
	if os.Getuid() == 0 {
		again(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}, "as nobody")
	}
}

// asUser runs the test as a user with no rights.
func asUser(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	needNamespaces(t)
	if os.Getuid() != 0 {
		test(t)
		return
	}
	again(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}, "as nobody")
}

func again(t *testing.T, sys *syscall.SysProcAttr, who string, before ...string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "cyclops-samepath-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if sys != nil {
		if err := os.Chown(dir, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	argv := append(before, "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	if len(before) > 0 {
		if argv[len(before)], err = os.Executable(); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = []string{"TMPDIR=" + dir, "PATH=" + os.Getenv("PATH"), "CI=" + os.Getenv("CI"), "AGAIN=1", "GORACE=atexit_sleep_ms=0"}
	cmd.Dir = dir
	cmd.SysProcAttr = sys
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%s: %v\n%s", who, err, out)
	}
}

// bench is a workspace and what is around it.
type bench struct {
	testing.TB
	dir string
	req Request
}

func newBench(t testing.TB, root string) *bench {
	t.Helper()
	dir := t.TempDir()
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	b := &bench{TB: t, dir: dir, req: Request{Root: root, Workspace: filepath.Join(dir, "work"), Records: filepath.Join(dir, "mounts")}}
	if err := os.MkdirAll(filepath.Join(b.req.Workspace, "sub dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.write(filepath.Join(b.req.Workspace, "file"), "from the workspace\n")
	return b
}

func (b *bench) write(path, content string) {
	b.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) read(path string) string {
	b.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	return string(data)
}

// outcome is how a step ended.
type outcome struct {
	out    string // both streams
	code   int
	cannot *command.Cannot
}

// run runs a step in the place that the bench asks for.
func (b *bench) run(s Step) outcome {
	b.Helper()
	p, err := New(b.req)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := p.Close(); err != nil {
			b.Error(err)
		}
	}()
	o, err := b.step(p, s)
	if err != nil {
		b.Fatal(err)
	}
	return o
}

func (b *bench) sh(line string) outcome {
	b.Helper()
	return b.run(Step{Argv: []string{"/bin/sh", "-c", line}})
}

func (b *bench) step(p *Place, s Step) (outcome, error) {
	b.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if s.Env == nil {
		s.Env = []string{"PATH=" + os.Getenv("PATH"), "PWD=" + p.Root}
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	start, err := p.Wrap([]string{"cyclopsd", "executor"}, s, &syscall.ProcAttr{Files: []uintptr{null.Fd(), w.Fd(), w.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true}})
	if err != nil {
		return outcome{}, err
	}
	defer start.Close()
	pid, err := syscall.ForkExec(start.File, start.Argv, start.Attr)
	if err != nil {
		return outcome{}, err
	}
	w.Close()
	var o outcome
	if err := start.Await(b.Context().Done()); err != nil && !errors.As(err, &o.cannot) {
		return o, errors.Join(err, reap(pid, &o))
	}
	text, err := io.ReadAll(r)
	o.out = string(text)
	return o, errors.Join(err, reap(pid, &o))
}

func reap(pid int, o *outcome) error {
	var status syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(pid, &status, 0, nil); err != unix.EINTR {
			o.code = status.ExitStatus()
			return err
		}
	}
}

// missing returns a path that nobody else uses, below dir.
func missing(dir string) string {
	return filepath.Join(dir, fmt.Sprintf("cyclops-test-%d", os.Getpid()), "alice", "my proj")
}

func wantOff(t testing.TB, r Request, part string) {
	t.Helper()
	p, err := New(r)
	if err == nil {
		t.Errorf("%q is no reason against %q", part, r.Root)
		_ = p.Close()
		return
	}
	var no *Off
	if !errors.As(err, &no) || !strings.Contains(err.Error(), part) {
		t.Errorf("%q: %v, want %q", r.Root, err, part)
	}
}
