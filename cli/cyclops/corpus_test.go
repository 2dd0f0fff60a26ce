//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// TestCorpusMatchesSSH runs every command both ways in the same workspace: stdout, stderr and
// the exit code must be those of ssh HOST 'cd WORKSPACE && exec CMD'.
func TestCorpusMatchesSSH(t *testing.T) {
	t.Parallel()
	if len(corpus) < 120 {
		t.Errorf("%d commands are no corpus", len(corpus))
	}
	server := corpusServer(t)
	share(t, corpus, func(t *testing.T, list []corpusCase) {
		u, workspace := corpusUser(t, server, server.ConfigFile)
		for _, c := range list {
			want, got := u.ssh(c, workspace), u.cyclops(c.stdin, append([]string{"run", "--"}, c.argv...)...)
			c.compare(t, want, got)
		}
	})
}

// TestCorpusOnATerminal runs the same commands, and more, with a terminal in front of ssh -tt and
// of cyclops run: every byte on the terminal and the exit code must be the same.
func TestCorpusOnATerminal(t *testing.T) {
	t.Parallel()
	server := corpusServer(t)
	var list []corpusCase
	for _, c := range corpus {
		if c, ok := c.forTerminal(); ok {
			list = append(list, c)
		}
	}
	share(t, append(list, onTerminal...), func(t *testing.T, list []corpusCase) {
		u, workspace := corpusUser(t, server, server.ConfigFile)
		for _, c := range list {
			want := u.onTerminal(u.sshCommand(c, workspace, "-tt", "-q"), c.stdin)
			got := u.onTerminal(u.command(append([]string{"run", "--"}, c.argv...)...), c.stdin)
			c.compare(t, want, got)
		}
	})
}

// TestCorpusThroughCuts runs commands through a line that is reset again and again: but for the notices of that, all must be as with a line that stands. A sample in
// each run; CYCLOPS_CORPUS=all takes all, CYCLOPS_SEED=N the sample of an earlier run.
func TestCorpusThroughCuts(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 0))
	list := slices.Clone(corpus)
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	if os.Getenv("CYCLOPS_CORPUS") != "all" {
		const sample = 24
		list = list[:sample]
	}
	server := corpusServer(t)
	var cuts atomic.Int64
	share(t, list, func(t *testing.T, list []corpusCase) {
		line := server.Cutter()
		u, workspace := corpusUser(t, server, line.ConfigFile)
		for i, c := range list {
			want := u.ssh(c, workspace)
			var got outcome
			for range 5 {
				u.cyclops("", "run", "--", "true")
				stop := cutAtRandom(line, seed+uint64(i))
				got = u.cyclops(c.stdin, append([]string{"run", "--"}, c.argv...)...)
				cuts.Add(int64(stop()))
				// A host that a command never heard of is an error at once: the link was cut before it
				// began, and its own first greeting too.
				if got.code != 125 || !strings.Contains(got.stderr, "unable to speak SSH") {
					break
				}
			}
			got.stderr = withoutNotices(got.stderr)
			c.compare(t, want, got)
		}
	})
	t.Cleanup(func() {
		t.Logf("%d commands, %d cuts", len(list), cuts.Load())
		if cuts.Load() < int64(len(list)) {
			t.Error("a command that nothing was cut of proves nothing")
		}
	})
}

func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("CYCLOPS_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("CYCLOPS_SEED=%d", seed)
	return seed
}

// cutAtRandom resets the line while something goes through it, until stop, which says how often:
// soon after the start, then whenever a new connection has come as far as carrying something, 20
// to 200 ms or some ten thousand bytes later.
func cutAtRandom(line *sshtest.Cutter, seed uint64) (stop func() int) {
	const greeting = 8 << 10 // bytes until somebody is let in
	random := rand.New(rand.NewPCG(seed, 1))
	passed := func(n int) <-chan struct{} {
		c := make(chan struct{})
		line.OnBytes(int64(n), func() { close(c) })
		return c
	}
	ended, cuts := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for least, spread := 1<<10, 6<<10; ; least, spread = greeting, 64<<10 {
			select {
			case <-passed(least):
			case <-ended:
				cuts <- n
				return
			}
			select {
			case <-passed(random.IntN(spread)):
			case <-time.After(time.Duration(20+random.IntN(180)) * time.Millisecond):
			case <-ended:
			}
			if line.Reset() > 0 {
				n++
			}
		}
	}()
	return func() int { close(ended); return <-cuts }
}

// withoutNotices leaves of what a run said what is not about its line. A notice comes when it comes: where what the tool
// wrote stopped in the middle of a line, it stands there.
func withoutNotices(said string) string { return notices.ReplaceAllString(said, "") }

// notices tell of a line that goes away and comes back.
var notices = regexp.MustCompile(`cyclops: (lost contact with lab; trying again|contact with lab is back after [^\n]*)\n`)

func corpusServer(t *testing.T) *sshtest.Server {
	t.Helper()
	return sshtest.Start(t, sshtest.Options{Name: "lab", MaxSessions: 100, Extra: []string{"MaxStartups 100"}})
}

// share has a few users at once go through a list.
func share(t *testing.T, list []corpusCase, f func(*testing.T, []corpusCase)) {
	t.Helper()
	const users = 3
	for part := range slices.Chunk(list, (len(list)+users-1)/users) {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			f(t, part)
		})
	}
}

// corpusUser is a user with the tree that the corpus expects, and where it lies on the host.
func corpusUser(t *testing.T, server *sshtest.Server, config string) (u *client, workspace string) {
	t.Helper()
	u = newUserOf(t, released, server)
	// ssh knows the tree only where the host keeps it.
	u.write("cyclops.toml", "name = \"corpus\"\nsame_path = \"off\"\n", 0o644)
	u.write("input.txt", "hello\nworld\n", 0o644)
	u.write("other.txt", "hello\nthere\n", 0o644)
	u.write("tool.sh", "#!/bin/sh\necho \"tool got <$1>\"\n", 0o755)
	u.write("sub/nested.txt", "x\n", 0o644)
	u.write("Makefile", "hello:\n\t@echo hello from make\nfails:\n\t@exit 3\n", 0o644)
	if err := errors.Join(os.Symlink("input.txt", filepath.Join(u.tree, "link")), os.Mkdir(filepath.Join(u.tree, "empty"), 0o755)); err != nil {
		t.Fatal(err)
	}
	u.env = append(u.env, "CYCLOPS_SSH_CONFIG="+config, "TERM=xterm-256color")
	first := u.cyclops("", "run", "--", "pwd")
	if first.code != 0 {
		t.Fatal(first)
	}
	return u, strings.TrimSpace(first.stdout)
}

func (c corpusCase) compare(t *testing.T, want, got outcome) {
	t.Helper()
	if want.code == 255 && c.code != 0 {
		want.code = c.code
	}
	want.stdout += c.after
	if got != want {
		t.Errorf("%.300q:\n     ssh %v\n cyclops %v", c.argv, want, got)
	}
}

// forTerminal is the case as somebody types it: input in lines, after the command is ready, and
// not shown, lest what is shown depend on who is faster. Input of any size or bytes is for pipes.
func (c corpusCase) forTerminal() (corpusCase, bool) {
	if c.stdin == "" {
		return c, c.argv[len(c.argv)-1] != "cat"
	}
	if len(c.stdin) > 100 || strings.ContainsFunc(c.stdin, func(r rune) bool { return r > '~' || r < ' ' && r != '\n' }) {
		return c, false
	}
	end := "\x04"
	if !strings.HasSuffix(c.stdin, "\n") {
		end = "\x04\x04"
	}
	// A command that reads nothing must not end before the keys were typed: this side's terminal
	// would show them itself. So it begins with the line before its input.
	argv := append([]string{"sh", "-c", "stty -echo; echo ready; read begin; exec \"$@\"", "sh"}, c.argv...)
	return corpusCase{argv: argv, stdin: "begin\n" + c.stdin + end, code: c.code}, true
}

// outcome is what a command leaves for its caller.
type outcome struct {
	stdout, stderr string
	code           int
}

func (o outcome) String() string {
	const shown = 200
	return fmt.Sprintf("code %d, stdout (%d) %.*q, stderr (%d) %.*q", o.code, len(o.stdout), shown, o.stdout, len(o.stderr), shown, o.stderr)
}

// client is a user with a tree, a home and, with a server, a host.
type client struct {
	t        *testing.T
	server   *sshtest.Server
	programs string // the directory of cyclops and cyclopsd
	home     string
	tree     string
	env      []string
}

// newUser makes a user whose default host is server, or this machine without one.
func newUser(t *testing.T, server *sshtest.Server) *client {
	t.Helper()
	return newUserOf(t, binaries, server)
}

func newUserOf(t *testing.T, programs string, server *sshtest.Server) *client {
	t.Helper()
	home, err := os.MkdirTemp("", "cy")
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(home, "d")
	t.Cleanup(func() { cleanUp(home, data) })
	u := &client{t: t, server: server, programs: programs, home: home, tree: filepath.Join(home, "tree")}
	u.env = append(os.Environ(), "HOME="+home, "XDG_RUNTIME_DIR="+filepath.Join(home, "run"), "XDG_CONFIG_HOME="+filepath.Join(home, ".config"),
		"XDG_STATE_HOME="+filepath.Join(home, ".state"), "XDG_CACHE_HOME="+filepath.Join(home, ".cache"), "CYCLOPS_DATA="+data)
	for _, dir := range []string{u.tree, filepath.Join(home, "run"), filepath.Join(home, ".config", "cyclops"), filepath.Join(data, "bin")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if server == nil {
		return u
	}
	u.env = append(u.env, "CYCLOPS_SSH_CONFIG="+server.ConfigFile)
	config := fmt.Sprintf("host = %q\n[hosts.%s]\ndata = %q\nlink_idle = \"5s\"\n", server.Name, server.Name, data)
	err = errors.Join(os.Symlink(filepath.Join(programs, "cyclopsd"), filepath.Join(data, "bin", "current")),
		os.WriteFile(filepath.Join(home, ".config", "cyclops", "config.toml"), []byte(config), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// write puts a file into the user's tree.
func (u *client) write(name, text string, mode os.FileMode) {
	u.t.Helper()
	path := filepath.Join(u.tree, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode)); err != nil {
		u.t.Fatal(err)
	}
}

func (u *client) cyclops(stdin string, args ...string) outcome {
	u.t.Helper()
	c := u.command(args...)
	c.Stdin = strings.NewReader(stdin)
	return u.run(c)
}

func (u *client) command(args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(u.programs, "cyclops"), args...)
	c.Dir, c.Env = u.tree, u.env
	return c
}

func (u *client) ssh(c corpusCase, dir string) outcome {
	u.t.Helper()
	s := u.sshCommand(c, dir)
	s.Stdin = strings.NewReader(c.stdin)
	return u.run(s)
}

// sshCommand runs a case in a directory of the host.
func (u *client) sshCommand(c corpusCase, dir string, flags ...string) *exec.Cmd {
	line := "cd " + quote(dir) + " && exec"
	for _, a := range c.argv {
		line += " " + quote(a)
	}
	s := exec.Command("ssh", append(flags, "-F", u.server.ConfigFile, u.server.Name, line)...)
	s.Env = u.env
	return s
}

// readyLine is what a command says that waits for keys. All of it must have come: a key that sends
// a signal throws away what is still on its way through the terminal.
var readyLine = regexp.MustCompile(`ready\r+\n`)

// onTerminal runs a command with a terminal for its input and output, types keys once it is ready,
// and returns the screen's bytes as its output. What it says to people goes to a
// pipe: it is not what is compared.
func (u *client) onTerminal(c *exec.Cmd, keys string) outcome {
	u.t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		u.t.Fatal(err)
	}
	defer master.Close()
	err = pty.Setsize(master, &pty.Winsize{Rows: 24, Cols: 80})
	var stderr bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = tty, tty, &stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err = errors.Join(err, c.Start()); err != nil {
		u.t.Fatalf("%q: %v", c.Args, err)
	}
	tty.Close()
	slow := time.AfterFunc(time.Minute, func() { _ = c.Process.Kill() })
	defer slow.Stop()
	var screen bytes.Buffer
	for buf, sent := make([]byte, 32<<10), keys == ""; ; {
		n, err := master.Read(buf) // fails when nobody has the terminal open any more
		screen.Write(buf[:n])
		if !sent && readyLine.Match(screen.Bytes()) {
			sent = true
			_, _ = io.WriteString(master, keys)
		}
		if err != nil {
			break
		}
	}
	var exit *exec.ExitError
	if err := c.Wait(); err != nil && !errors.As(err, &exit) {
		u.t.Fatalf("%q: %v", c.Args, err)
	}
	return outcome{screen.String(), stderr.String(), c.ProcessState.ExitCode()}
}

func (u *client) run(c *exec.Cmd) outcome {
	u.t.Helper()
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		u.t.Fatalf("%q: %v", c.Args, err)
	}
	return outcome{stdout.String(), stderr.String(), c.ProcessState.ExitCode()}
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
