//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// corpusCase is a command that must look the same through ssh and through cyclops run.
type corpusCase struct {
	argv  []string
	stdin string
	code  int // what cyclops exits with where ssh, which knows no signals, says 255
}

// sh is a case for a shell's line.
func sh(line string) corpusCase { return corpusCase{argv: []string{"sh", "-c", line}} }

func shIn(line, stdin string) corpusCase {
	return corpusCase{argv: []string{"sh", "-c", line}, stdin: stdin}
}

func cmd(argv ...string) corpusCase { return corpusCase{argv: argv} }

// killed is a case that ends by signal n: ssh says 255, we say 128+n.
func killed(line string, n int) corpusCase {
	return corpusCase{argv: []string{"sh", "-c", line}, code: 128 + n}
}

var corpus = []corpusCase{
	// exit codes
	cmd("true"), cmd("false"), sh("exit 2"), sh("exit 42"), sh("exit 125"), sh("exit 126"), sh("exit 127"), sh("exit 254"), sh("exit 255"),
	sh("exit 256"), sh("false || exit 7"), sh("set -e; false; echo not reached"),
	// deaths by signal
	killed("kill -INT $$", 2), killed("kill -TERM $$", 15), killed("kill -KILL $$", 9), killed("kill -HUP $$", 1), killed("kill -PIPE $$", 13),
	killed("kill -ABRT $$", 6), killed("kill -SEGV $$", 11), killed("kill -USR1 $$", 10),
	sh("sh -c 'kill -TERM $$'; echo survived $?"),
	// arguments as they are
	cmd("printf", "%s|", "a b", "", "*", "$HOME", "`id`", "\\", "\"", "'", "~", "a\tb", "a\nb", "-n", "--"),
	cmd("printf", "%s|", "µ", "日本語", "\xff\xfe"), cmd("echo", "-e", "\\x41"), cmd("test", "", "=", ""), cmd("expr", "6", "*", "7"),
	cmd("seq", "1", "5"), cmd("basename", "/a/b c"), cmd("env", "-i", "A=1", "B=x y", "env"),
	// streams apart, in any amount
	sh("echo out; echo err >&2"), sh("echo err >&2; exit 3"), sh("printf no-newline"), sh("printf no-newline >&2"), sh("printf ''"),
	sh("seq 1 20000"), sh("seq 1 20000 >&2"), sh("seq 1 5000; seq 1 5000 >&2; seq 1 5000"), sh("head -c 3000000 /dev/zero"),
	sh("head -c 100000 /dev/zero | tr '\\0' x"), sh("printf 'a\\0b\\r\\n\\033[31mred\\033[0m\\a'"), sh("printf '\\377\\376\\200'"),
	sh("i=0; while [ $i -lt 300 ]; do echo $i; echo $i >&2; i=$((i+1)); done"), sh("exec >&-; echo lost"), sh("exec 2>&-; ls /nonexistent; echo $?"),
	// standard input
	shIn("cat", "hello\n"), shIn("cat", "no newline"), shIn("cat", ""), shIn("cat", strings.Repeat("0123456789abcdef", 100_000)),
	shIn("wc -c", strings.Repeat("x", 1_000_001)), shIn("head -1", strings.Repeat("line\n", 200_000)), shIn("read a; read b; echo $b $a", "one\ntwo\nthree\n"),
	shIn("exec <&-; echo closed", "unread"), shIn("true", strings.Repeat("unread", 100_000)), shIn("sort -r", "b\na\nc\n"), shIn("tr a-z A-Z", "binary \x00\xff\x1b end"),
	shIn("sha256sum", strings.Repeat("\x00\x01\xfe\xff", 50_000)), shIn("sed -n 2p", "1\n2\n3\n"), shIn("cat >&2", "to stderr"), shIn("md5sum -", "sum\n"),
	// the place
	cmd("pwd"), cmd("cat", "input.txt"), cmd("ls"), cmd("ls", "-a", "sub"), sh("cd sub && pwd"), cmd("./tool.sh", "x y"), sh("cat sub/../input.txt"), sh("test -x tool.sh && test ! -x input.txt"),
	cmd("readlink", "link"), cmd("cat", "link"), sh("ls -d empty"), sh("wc -c <input.txt"),
	// things shells and tools do
	sh("(echo sub; exit 4); echo $?"), sh("yes | head -3"), sh("sleep 0.1 & wait; echo waited"), sh("trap 'echo bye' EXIT; exit 5"), sh("umask 022; umask"),
	sh("echo a | cat | cat | cat"), sh("x=$(echo captured; exit 3); echo $? $x"), sh("test -t 0; echo $?; test -t 1; echo $?; test -t 2; echo $?"), sh("ulimit -c 0; ulimit -c"),
	sh("cat /dev/null"), sh("exec sh -c 'exit 9'"), sh("ls /nonexistent"), sh("nohup true 2>/dev/null"), sh("echo one; sleep 0.05; echo two >&2; sleep 0.05; echo three"),
	sh("mkdir -p out/deep && echo made >out/deep/f && cat out/deep/f"), cmd("awk", "BEGIN { for (i = 0; i < 3; i++) print i > \"/dev/stderr\"; exit 6 }"), cmd("grep", "-c", "l", "input.txt"), cmd("grep", "zzz", "input.txt"),
	cmd("make", "-s", "-f", "Makefile", "hello"), cmd("make", "-s", "-f", "Makefile", "fails"), cmd("find", ".", "-name", "*.txt"), cmd("od", "-c", "input.txt"), cmd("diff", "input.txt", "other.txt"), cmd("timeout", "0.2", "sleep", "5"),
}

// TestCorpusMatchesSSH runs every command both ways in the same workspace: stdout, stderr and
// the exit code must be those of ssh HOST 'cd WORKSPACE && exec CMD'.
func TestCorpusMatchesSSH(t *testing.T) {
	t.Parallel()
	server := sshtest.Start(t, sshtest.Options{Name: "lab", MaxSessions: 100, Extra: []string{"MaxStartups 100"}})
	u := newUser(t, server)
	u.write("cyclops.toml", "name = \"corpus\"\n", 0o644)
	u.write("input.txt", "hello\nworld\n", 0o644)
	u.write("other.txt", "hello\nthere\n", 0o644)
	u.write("tool.sh", "#!/bin/sh\necho \"tool got <$1>\"\n", 0o755)
	u.write("sub/nested.txt", "x\n", 0o644)
	u.write("Makefile", "hello:\n\t@echo hello from make\nfails:\n\t@exit 3\n", 0o644)
	if err := errors.Join(os.Symlink("input.txt", filepath.Join(u.tree, "link")), os.Mkdir(filepath.Join(u.tree, "empty"), 0o755)); err != nil {
		t.Fatal(err)
	}
	workspace := strings.TrimSpace(u.cyclops("", "run", "--", "pwd").stdout)
	for i, c := range corpus {
		want := u.ssh(c, workspace)
		if want.code == 255 && c.code != 0 {
			want.code = c.code
		}
		got := u.cyclops(c.stdin, append([]string{"run", "--"}, c.argv...)...)
		if got != want {
			t.Errorf("%d: %q:\n     ssh %v\n cyclops %v", i, c.argv, want, got)
		}
	}
	if len(corpus) < 60 {
		t.Errorf("%d commands are no corpus", len(corpus))
	}
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
	t      *testing.T
	server *sshtest.Server
	home   string
	tree   string
	env    []string
}

// newUser makes a user whose default host is server, or this machine without one.
func newUser(t *testing.T, server *sshtest.Server) *client {
	t.Helper()
	home, err := os.MkdirTemp("", "cy")
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(home, "d")
	t.Cleanup(func() { cleanUp(home, data) })
	u := &client{t: t, server: server, home: home, tree: filepath.Join(home, "tree")}
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
	err = errors.Join(os.Symlink(filepath.Join(binaries, "cyclopsd"), filepath.Join(data, "bin", "current")),
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
	c := exec.Command(filepath.Join(binaries, "cyclops"), args...)
	c.Dir, c.Env, c.Stdin = u.tree, u.env, strings.NewReader(stdin)
	return u.run(c)
}

func (u *client) ssh(c corpusCase, dir string) outcome {
	u.t.Helper()
	line := "cd " + quote(dir) + " && exec"
	for _, a := range c.argv {
		line += " " + quote(a)
	}
	s := exec.Command("ssh", "-F", u.server.ConfigFile, u.server.Name, line)
	s.Stdin = strings.NewReader(c.stdin)
	return u.run(s)
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
