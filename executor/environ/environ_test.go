//go:build linux

package environ

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// TestMain lets the test's own binary be what the shells run.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "env" {
		if Print(os.Stdout) != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func self(t *testing.T) []string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{path}
}

// login asks shell with a home that has these files.
func login(t *testing.T, shell string, files map[string]string, more ...string) ([]string, error) {
	t.Helper()
	home := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(home, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return ask(t.Context(), loginCommand(shell, self(t)), append([]string{"HOME=" + home, "PATH=/usr/bin:/bin"}, more...), "")
}

func TestLoginFilesCount(t *testing.T) {
	t.Parallel()
	odd := "a b\n\"'$ü\xff"
	for _, shell := range []string{"/bin/sh", "/bin/bash"} {
		vars, err := login(t, shell, map[string]string{".profile": "echo a greeting; export FROM_PROFILE=yes\n"}, "ODD="+odd)
		if err != nil {
			t.Fatalf("%s: %v", shell, err)
		}
		if Get(vars, "FROM_PROFILE") != "yes" || Get(vars, "ODD") != odd {
			t.Errorf("%s gives %q", shell, vars)
		}
	}
}

func TestAShellThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for shell, want := range map[string]string{"/bin/false": "exit status 1", "/no/such/shell": "no such file", "/bin/true": "without running"} {
		if _, err := login(t, shell, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", shell, err)
		}
	}
}

func TestAShellThatHangsIsLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	reached, never := filepath.Join(dir, "reached"), filepath.Join(dir, "never")
	if err := errors.Join(unix.Mkfifo(reached, 0o600), unix.Mkfifo(never, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".profile"), []byte("echo > "+reached+"; cat "+never+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("the test stopped it")
	go func() {
		_, err := os.ReadFile(reached)
		cancel(errors.Join(stop, err))
	}()
	_, err := ask(ctx, loginCommand("/bin/sh", self(t)), []string{"HOME=" + dir, "PATH=/usr/bin:/bin"}, "")
	if !errors.Is(err, stop) {
		t.Errorf("error is %v", err)
	}
}

func TestToolsAreSetUpInOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "settings.sh"), []byte("export XILINX=$PWD PATH=/opt/tool:$PATH\necho banner\nfalse\ntrue\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	vars, err := SetUp(t.Context(), self(t), []string{"PATH=/usr/bin:/bin", "KEEP=1"}, []Tool{
		{Name: "none"}, {Name: "a", Setup: "source ./settings.sh"}, {Name: "b", Setup: "export BOTH=$XILINX/b\nunset KEEP"},
	}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if Get(vars, "BOTH") != dir+"/b" || Get(vars, "PATH") != "/opt/tool:/usr/bin:/bin" || Get(vars, "KEEP") != "" {
		t.Errorf("variables are %q", vars)
	}
}

func TestAToolThatFails(t *testing.T) {
	t.Parallel()
	for setup, want := range map[string]string{"source /no/such/file": "/no/such/file", "echo no licence >&2; exit 3": "no licence", "syntax ( error": "syntax error"} {
		_, err := SetUp(t.Context(), self(t), []string{"PATH=/usr/bin:/bin"}, []Tool{{Name: "quartus", Setup: setup}}, "/")
		if api.KindOf(err) != api.Invalid || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "quartus") {
			t.Errorf("%q: %v", setup, err)
		}
	}
}

func TestCleanAndSet(t *testing.T) {
	t.Parallel()
	got := Clean([]string{"A=1", "SSH_CONNECTION=x", "CYCLOPS_DATA=y", "PWD=/", "_=/bin/env", "SSHKEY=z", "NOTIFY_SOCKET=s"})
	if !slices.Equal(got, []string{"A=1", "SSHKEY=z"}) {
		t.Errorf("clean is %q", got)
	}
	vars := []string{"A=1", "B=2", "A=3"}
	if got := Set(vars, "A", "4"); !slices.Equal(got, []string{"B=2", "A=4"}) || Get(vars, "A") != "3" {
		t.Errorf("set gives %q of %q", got, vars)
	}
}

func TestReportNamesVariablesOnly(t *testing.T) {
	t.Parallel()
	r := Login{Shell: "/bin/sh", Vars: []string{"TOKEN=secret", "PATH=/bin"}, Warning: "w"}.Report()
	if !slices.Equal(r.Names, []string{"PATH", "TOKEN"}) || r.Path != "/bin" || r.Warning != "w" {
		t.Errorf("report is %+v", r)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(markBegin + "A=1\x00" + markEnd))
	f.Add([]byte("noise" + markBegin))
	f.Fuzz(func(t *testing.T, out []byte) {
		vars, err := parse(out)
		for _, v := range vars {
			if err != nil || strings.IndexByte(v, '=') < 1 {
				t.Fatalf("%q, %v", vars, err)
			}
		}
	})
}
