//go:build linux

package install

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/connect"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/place"
	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// builds are two executors of different bytes, made once for all tests.
var builds = sync.OnceValues(func() ([2]string, error) {
	var files [2]string
	dir, err := os.MkdirTemp("", "cyclopsd-test-")
	if err != nil {
		return files, err
	}
	for i, version := range []string{"v0.0.1", "v0.0.2-5-gabc"} {
		files[i] = filepath.Join(dir, version)
		cmd := exec.Command("go", "build", "-o", files[i], "-ldflags", "-s -w -X github.com/cyclops-fpga/cyclops/executor/api.Build="+version, "./executor/cyclopsd")
		cmd.Dir = filepath.Join("..", "..")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return files, errors.Join(err, errors.New(string(out)))
		}
	}
	return files, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if files, err := builds(); err == nil {
		os.RemoveAll(filepath.Dir(files[0]))
	}
	os.Exit(code)
}

func executors(t *testing.T) [2]string {
	t.Helper()
	files, err := builds()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func options(t *testing.T, s *sshtest.Server) (hosts.Host, connect.Options) {
	t.Helper()
	dir := t.TempDir()
	return hosts.Host{Name: s.Name, Address: s.Name}, connect.Options{SSHConfig: s.ConfigFile, Dirs: place.Dirs{State: dir, Runtime: dir}}
}

func reach(t *testing.T, s *sshtest.Server) *connect.Conn {
	t.Helper()
	h, opt := options(t, s)
	c := connect.Open(h, opt)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestInstallUpgradeUninstall(t *testing.T) {
	t.Parallel()
	files := executors(t)
	for name, opt := range map[string]sshtest.Options{"stock": {Account: true}, "bare": {NoSFTP: true, NoStreamLocal: true, MaxSessions: 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sshtest.Start(t, opt)
			c := reach(t, s)
			first := installed(t, c, files[0], true, "cyclopsd-v0.0.1")
			again := installed(t, c, files[0], false, "cyclopsd-v0.0.1")
			next := installed(t, c, files[1], true, "cyclopsd-v0.0.2-5-gabc-")
			if again.Hello.PID != first.Hello.PID || next.Hello.PID == first.Hello.PID || next.Hello.Store != first.Hello.Store {
				t.Errorf("daemons %d, %d, %d", first.Hello.PID, again.Hello.PID, next.Hello.PID)
			}
			installed(t, c, files[1], false, "cyclopsd-v0.0.2-5-gabc-")
			if next.Hello.Executor != "v0.0.2-5-gabc" {
				t.Errorf("%s answers", next.Hello.Executor)
			}
			if list, _ := filepath.Glob(filepath.Join(s.Home, ".cyclops/bin/cyclopsd-*")); len(list) != 1 {
				t.Errorf("left %v", list)
			}
			removed(t, c, s)
		})
	}
}

func installed(t *testing.T, c *connect.Conn, binary string, changed bool, name string) *Report {
	t.Helper()
	r, err := Install(t.Context(), c, Options{Binary: binary, Say: func(text string) { t.Log(text) }})
	if err != nil {
		t.Fatal(err)
	}
	if r.Changed != changed || !strings.HasPrefix(filepath.Base(r.Path), name) || r.Hello.PID == 0 {
		t.Errorf("installed %+v", r)
	}
	return r
}

// The executor is the most that is sent to a host that nobody has been on before: a line that breaks
// meanwhile costs its upload, not the installation.
func TestInstallsOverALineThatBreaks(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	line := s.Cutter()
	h, opt := options(t, s)
	opt.SSHConfig = line.ConfigFile
	c := connect.Open(h, opt)
	t.Cleanup(func() { c.Close() })
	cut := line.ResetEvery(3<<20, 1)
	installed(t, c, executors(t)[0], true, "cyclopsd-v0.0.1")
	if cut.Load() != 1 {
		t.Error("the line did not break")
	}
	if list, _ := filepath.Glob(filepath.Join(s.Home, ".cyclops/bin/cyclopsd-*")); len(list) != 1 {
		t.Errorf("left %v", list)
	}
}

func removed(t *testing.T, c *connect.Conn, s *sshtest.Server) {
	t.Helper()
	data := filepath.Join(s.Home, ".cyclops")
	if err := Uninstall(t.Context(), c, false, Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(data, "bin")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("bin: %v", err)
	}
	if _, err := os.Stat(filepath.Join(data, "jobs.db")); err != nil {
		t.Errorf("without purge the data stays: %v", err)
	}
	if _, err := c.Hello(t.Context()); api.KindOf(err) != api.NoExecutor {
		t.Errorf("still answers: %v", err)
	}
	if err := Uninstall(t.Context(), c, true, Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("data: %v", err)
	}
}

func TestInstallRefusesWhatDoesNotRunThere(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("\x7fELF is not enough"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := reach(t, s)
	if _, err := Install(t.Context(), c, Options{Binary: bad}); api.KindOf(err) != api.NoExecutor {
		t.Errorf("installed: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(s.Home, ".cyclops/bin/current")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("made current: %v", err)
	}
}

func TestPurgeSparesTheHome(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]bool{
		"/home/a/.cyclops": true, "/scratch/a": true, "/home/a": false, "/home": false, "/": false, "/home/a/../a/": false,
	} {
		if got := purgeable(&Host{Data: data, Home: "/home/a"}); got != want {
			t.Errorf("%s: %t", data, got)
		}
	}
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	files := executors(t)
	s := sshtest.Start(t, sshtest.Options{Account: true})
	h, opt := options(t, s)
	diagnose(t, h, opt, "executor", Fail, "resolve connect host key authentication sftp platform disk space")
	installed(t, reach(t, s), files[0], true, "cyclopsd-v0.0.1")
	diagnose(t, h, opt, "version", Warn, "resolve connect host key authentication sftp platform disk space executor environment same path data clock")
	s.ChangeHostKey()
	diagnose(t, h, opt, "host key", Fail, "resolve connect")
	s.Down()
	diagnose(t, h, opt, "connect", Fail, "resolve")
}

// diagnose expects one check to have a verdict with a hint, and others to be fine.
func diagnose(t *testing.T, h hosts.Host, opt connect.Options, name string, verdict Verdict, fine string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var good []string
	found := false
	for _, c := range Doctor(ctx, h, opt, false, nil) {
		if c.Name == "limits" { // what the machine lets an account do with control groups
			continue
		}
		if c.Verdict == OK {
			good = append(good, c.Name)
		}
		if c.Name == name && c.Verdict == verdict && c.Hint != "" {
			found = true
		} else if c.Verdict != OK {
			t.Errorf("%s: %s %s (%s)", c.Name, c.Verdict, c.Text, c.Hint)
		}
	}
	if got := strings.Join(good, " "); !found || got != fine {
		t.Errorf("%s not found to %s, or fine are %q instead of %q", name, verdict, got, fine)
	}
}
