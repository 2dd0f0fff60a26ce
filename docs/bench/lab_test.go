//go:build bench && linux

package bench

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// lab is a server, a user of it, and the same server behind a slow line.
type lab struct {
	t       *testing.T
	server  *sshtest.Server
	dir     string // the user's: home, trees, caches
	runtime int    // counts runtime directories: a new one is a cold start
}

func newLab(t *testing.T) *lab {
	l := &lab{t: t, server: sshtest.Start(t, sshtest.Options{}), dir: t.TempDir()}
	l.write("config/cyclops/config.toml", fmt.Sprintf("[hosts.%s]\nlink_idle = \"10m\"\n", l.server.Name))
	l.prepare(l.cyclops(l.mkdir("empty"), "install", l.server.Name, "--binary", *cyclopsd))
	t.Cleanup(func() { l.prepare(l.cyclops(l.dir, "uninstall", "--purge", l.server.Name)) })
	return l
}

// cyclops is a command of the client in dir, over the link that is open.
func (l *lab) cyclops(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command(*cyclops, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+l.dir, "CYCLOPS_SSH_CONFIG="+l.server.ConfigFile, "CYCLOPS_HOST="+l.server.Name,
		"XDG_CONFIG_HOME="+filepath.Join(l.dir, "config"), "XDG_STATE_HOME="+filepath.Join(l.dir, "state"),
		"XDG_CACHE_HOME="+filepath.Join(l.dir, "cache"), "XDG_RUNTIME_DIR="+l.mkdir("r"+strconv.Itoa(l.runtime)))
	return cmd
}

// cold makes the next command find no link.
func (l *lab) cold() { l.runtime++ }

// ssh is the baseline's command line, cold; through a master with master.
func (l *lab) ssh(args ...string) []string {
	return append([]string{"ssh", "-F", l.server.ConfigFile}, args...)
}

func (l *lab) master() []string {
	return l.ssh("-o", "ControlMaster=auto", "-o", "ControlPersist=600", "-o", "ControlPath="+filepath.Join(l.server.Dir, "cm"))
}

// rsync is rsync over the given ssh.
func (l *lab) rsync(ssh []string, args ...string) *exec.Cmd {
	return exec.Command("rsync", append([]string{"-a", "-e", strings.Join(ssh, " ")}, args...)...)
}

func (l *lab) command(argv []string, more ...string) *exec.Cmd {
	argv = append(append([]string{}, argv...), more...)
	return exec.Command(argv[0], argv[1:]...)
}

// there is a path in the account's home on the server.
func (l *lab) there(name string) string { return filepath.Join(l.server.Home, name) }

// time runs commands one after another and returns the milliseconds they took together.
func (l *lab) time(cmds ...*exec.Cmd) float64 {
	l.t.Helper()
	start := time.Now()
	for _, cmd := range cmds {
		l.prepare(cmd)
	}
	return float64(time.Since(start).Microseconds()) / 1000
}

// prepare runs a command whose time does not count; it must succeed.
func (l *lab) prepare(cmd *exec.Cmd) []byte {
	l.t.Helper()
	var stdout, stderr bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &stdout
	}
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		l.t.Fatalf("%s: %v\n%s%s", cmd, err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.Bytes()
}

// pairs measures ours and theirs in turn, the first pair unmeasured to warm both up.
func pairs(n int, r Row, ours, theirs func() float64) Row {
	ours()
	theirs()
	return cold(n, r, ours, theirs)
}

// cold is pairs for work that has a first time only.
func cold(n int, r Row, ours, theirs func() float64) Row {
	for range n {
		r.Ours = append(r.Ours, ours())
		r.Theirs = append(r.Theirs, theirs())
	}
	return r
}

func (l *lab) mkdir(name string) string {
	l.t.Helper()
	path := filepath.Join(l.dir, name)
	if err := os.MkdirAll(path, 0o700); err != nil {
		l.t.Fatal(err)
	}
	return path
}

func (l *lab) write(name, text string) {
	l.t.Helper()
	l.mkdir(filepath.Dir(name))
	if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// fill writes size bytes that do not compress, the same ones for the same seed.
func (l *lab) fill(path string, size int64, seed byte) {
	l.t.Helper()
	f, err := os.Create(path)
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := io.CopyN(f, newNoise(seed), size); err != nil {
		l.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		l.t.Fatal(err)
	}
}
