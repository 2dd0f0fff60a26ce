//go:build linux

package tui_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOnATerminal drives the real program in tmux against a real executor.
func TestOnATerminal(t *testing.T) {
	if _, err := exec.LookPath("tmux"); err != nil && os.Getenv("CI") == "" {
		t.Skip("there is no tmux")
	}
	home, err := os.MkdirTemp("", "cy") // short: sockets lie below
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	binary, data := filepath.Join(home, "bin", "cyclops"), filepath.Join(home, "d")
	if out, err := exec.Command("go", "build", "-o", binary, "../cli/cyclops").CombinedOutput(); err != nil {
		t.Fatalf("unable to build: %v\n%s", err, out)
	}
	env := append(os.Environ(), "HOME="+home, "CYCLOPS_DATA="+data, "CYCLOPS_HOST=local", "XDG_CONFIG_HOME="+home, "XDG_STATE_HOME="+home,
		"XDG_CACHE_HOME="+home, "XDG_RUNTIME_DIR="+home, "NO_COLOR=any", "TMUX=")
	command := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env, cmd.Dir = env, home
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	t.Cleanup(func() {
		stop := exec.Command(binary, "executor", "stop", "--data", data)
		stop.Env = env
		_ = stop.Run()
	})
	tree := filepath.Join(home, "tree")
	if err := os.Mkdir(tree, 0o700); err != nil {
		t.Fatal(err)
	}
	command(binary, "submit", "-C", tree, "--name", "ticker", "--", "sh", "-c", "echo one; printf '\\033]0;evil\\007\\n'; sleep 600")
	tmux := func(args ...string) string {
		t.Helper()
		return command("tmux", append([]string{"-f", "/dev/null", "-S", filepath.Join(home, "tmux")}, args...)...)
	}
	tmux("new-session", "-d", "-x", "80", "-y", "20", "sh")
	t.Cleanup(func() { tmux("kill-server") })
	see := func(want string) {
		t.Helper()
		var screen string
		for range 150 {
			if screen = tmux("capture-pane", "-p"); strings.Contains(screen, want) {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Fatalf("no %q on\n%s", want, screen)
	}
	tmux("send-keys", "echo before; "+binary+" tui", "Enter")
	see("ticker")
	see("running")
	tmux("send-keys", "Enter")
	see("STEPS")
	tmux("send-keys", "Enter")
	see("^[]0;evil^G")
	tmux("resize-window", "-x", "60", "-y", "15")
	see("following")
	tmux("send-keys", "q")
	see("workspace")
	tmux("send-keys", "q")
	see("q quit")
	tmux("send-keys", "c")
	see("[y/N]")
	tmux("send-keys", "y")
	see("cancelled")
	tmux("send-keys", "Escape")
	see("q quit")
	time.Sleep(200 * time.Millisecond) // Escape and a key at once would be Alt and that key
	tmux("send-keys", "x")
	see("Delete ticker")
	tmux("send-keys", "y")
	see("no jobs yet")
	tmux("send-keys", "q")
	see("before")
	if mode := tmux("display-message", "-p", "#{alternate_on}#{cursor_flag}"); strings.TrimSpace(mode) != "01" {
		t.Errorf("the terminal was left as %s", mode)
	}
}
