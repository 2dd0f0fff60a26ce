//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/remote/sshtest"
	"github.com/rogpeppe/go-internal/testscript"
)

// Where TestMain puts the real programs: as the tests themselves are built, and as they are
// released, for the corpus, which asks how they behave and takes four times as long with the race
// detector in them.
var binaries, released string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	// Where hang-ups are ignored, as below nohup, every program that is tried here would ignore them too.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	dir, err := os.MkdirTemp("", "cyclops-bin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // other accounts install from here
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binaries, released = dir, dir
	if err := build(binaries, raceFlag...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if len(raceFlag) > 0 {
		released = filepath.Join(dir, "released")
		if err := build(released); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	// Nearly all of it is waiting, for networks that are cut and for real programs.
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func build(dir string, flags ...string) error {
	for name, pkg := range map[string]string{"cyclops": ".", "cyclopsd": "../../executor/cyclopsd"} {
		args := append([]string{"build", "-o", filepath.Join(dir, name)}, flags...)
		if out, err := exec.Command("go", append(args, pkg)...).CombinedOutput(); err != nil {
			return fmt.Errorf("unable to build %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

// TestScriptLocal runs every script on this machine as the host.
func TestScriptLocal(t *testing.T) {
	t.Parallel()
	testscript.Run(t, params(t, nil))
}

// TestScriptSSH runs every script again on a host behind OpenSSH's own server.
func TestScriptSSH(t *testing.T) {
	t.Parallel()
	testscript.Run(t, params(t, sshtest.Start(t, sshtest.Options{Name: "lab", MaxSessions: 100, Extra: []string{"MaxStartups 100"}})))
}

func params(t *testing.T, server *sshtest.Server) testscript.Params {
	return testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Setup:               func(env *testscript.Env) error { return setup(env, server) },
		Condition: func(cond string) (bool, error) {
			if cond == "ssh" {
				return server != nil, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": code, "suits": suits},
	}
}

// setup gives a script a home, a data directory and, over SSH, a host of its own.
func setup(env *testscript.Env, server *sshtest.Server) error {
	home, err := os.MkdirTemp("", "cy") // short: sockets lie below
	if err != nil {
		return err
	}
	docs, err := filepath.Abs("../../docs")
	if err != nil {
		return err
	}
	data := filepath.Join(home, "d")
	env.Defer(func() { cleanUp(home, data) })
	env.Setenv("HOME", home)
	env.Setenv("XDG_RUNTIME_DIR", filepath.Join(home, "run"))
	env.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
	env.Setenv("XDG_STATE_HOME", filepath.Join(home, ".state"))
	env.Setenv("XDG_CACHE_HOME", filepath.Join(home, ".cache"))
	env.Setenv("CYCLOPS_DATA", data)
	env.Setenv("DATA", data)
	env.Setenv("BIN", binaries)
	env.Setenv("HOST", "local")
	env.Setenv("DOCS", docs)
	env.Setenv("PATH", binaries+string(filepath.ListSeparator)+env.Getenv("PATH"))
	for _, dir := range []string{filepath.Join(home, "run"), filepath.Join(home, ".config", "cyclops")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if server == nil {
		return nil
	}
	return setupSSH(env, server, home, data)
}

func setupSSH(env *testscript.Env, server *sshtest.Server, home, data string) error {
	env.Setenv("HOST", server.Name)
	env.Setenv("CYCLOPS_SSH_CONFIG", server.ConfigFile)
	if err := os.MkdirAll(filepath.Join(data, "bin"), 0o700); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join(binaries, "cyclopsd"), filepath.Join(data, "bin", "current")); err != nil {
		return err
	}
	config := fmt.Sprintf("host = %q\n[hosts.%s]\ndata = %q\nlink_idle = \"5s\"\n", server.Name, server.Name, data)
	return os.WriteFile(filepath.Join(home, ".config", "cyclops", "config.toml"), []byte(config), 0o600)
}

func stopDaemon(home, data string) {
	stop := exec.Command(filepath.Join(binaries, "cyclopsd"), "stop", "--data", data)
	stop.Env = append(os.Environ(), "HOME="+home)
	_ = stop.Run()
}

// cleanUp stops what a script or a test started and left: the executor, jobs that were to go on, the link.
func cleanUp(home, data string) {
	stopDaemon(home, data)
	endBelow(home)
	_ = os.RemoveAll(home)
}

// endBelow ends every process whose working directory lies below dir: supervisors, which end their
// jobs, and links.
func endBelow(dir string) {
	const patience, tick = 5 * time.Second, 20 * time.Millisecond
	sig := syscall.SIGTERM
	for began := time.Now(); ; time.Sleep(tick) { // what is not our child tells nobody of its end
		if time.Since(began) > patience {
			sig = syscall.SIGKILL
		}
		left := false
		procs, _ := filepath.Glob("/proc/[0-9]*/cwd")
		for _, cwd := range procs {
			at, err := os.Readlink(cwd)
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(cwd)))
			if err == nil && strings.HasPrefix(at, dir+"/") && syscall.Kill(pid, sig) == nil {
				left = true
			}
		}
		if !left || time.Since(began) > 2*patience {
			return
		}
	}
}

// code runs a command and compares its exit code: code N CMD…
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N CMD…")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// suits compares a file or stdout with lines in which … stands for anything: suits stdout FILE
func suits(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: suits FILE PATTERNFILE")
	}
	got, want := strings.Split(ts.ReadFile(args[0]), "\n"), strings.Split(ts.ReadFile(args[1]), "\n")
	same := len(got) == len(want)
	for i := 0; same && i < len(got); i++ {
		same = lineSuits(got[i], strings.Split(want[i], "…"))
	}
	if same == neg {
		ts.Fatalf("got\n%s\nwant (%t)\n%s", strings.Join(got, "\n"), !neg, strings.Join(want, "\n"))
	}
}

func lineSuits(line string, parts []string) bool {
	if len(parts) == 1 {
		return line == parts[0]
	}
	if !strings.HasPrefix(line, parts[0]) {
		return false
	}
	line = line[len(parts[0]):]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(line, p)
		if i < 0 {
			return false
		}
		line = line[i+len(p):]
	}
	return strings.HasSuffix(line, parts[len(parts)-1])
}
