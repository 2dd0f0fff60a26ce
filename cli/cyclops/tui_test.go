//go:build linux

package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// tmux is a terminal that shows what is on it.
type tmux struct {
	*client
	socket string
}

// newTmux runs a shell on a terminal of 100 by 30.
func newTmux(u *client) *tmux {
	u.t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil && os.Getenv("CI") == "" {
		u.t.Skip("there is no tmux")
	}
	u.env = append(u.env, "PATH="+binaries+":"+os.Getenv("PATH"), "TMUX=", "NO_COLOR=any", "PS1=$ ")
	x := &tmux{u, filepath.Join(u.home, "tmux")}
	x.do("new-session", "-d", "-x", "100", "-y", "30", "-c", u.tree, "sh")
	x.do("pipe-pane", "cat >"+filepath.Join(u.home, "written"))
	u.t.Cleanup(func() { x.do("kill-server") })
	return x
}

// twoHosts has the screen show this machine, as a host with a directory of its own, beside the
// server's. What the executor there owns is in data; empty: where it is by default.
func (u *client) twoHosts(data string) {
	u.t.Helper()
	here := filepath.Join(u.home, "l")
	config := fmt.Sprintf("host = %q\n[hosts.local]\ndata = %q\n[hosts.%s]\nlink_idle = \"5s\"\n", u.server.Name, here, u.server.Name)
	if data != "" {
		config += fmt.Sprintf("data = %q\n", data)
	}
	if err := os.WriteFile(filepath.Join(u.home, ".config", "cyclops", "config.toml"), []byte(config), 0o600); err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() { stopDaemon(u.home, here) })
}

func (x *tmux) do(args ...string) string {
	x.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-f", "/dev/null", "-S", x.socket}, args...)...)
	cmd.Env, cmd.Dir = x.env, x.tree
	out, err := cmd.CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// see waits until all of the texts are on the screen.
func (x *tmux) see(wants ...string) {
	x.t.Helper()
	x.until(strings.Join(wants, ", "), func(screen string) bool {
		for _, want := range wants {
			if !strings.Contains(screen, want) {
				return false
			}
		}
		return true
	})
}

func (x *tmux) until(what string, ok func(screen string) bool) {
	x.t.Helper()
	var screen string
	done := func() bool { screen = x.do("capture-pane", "-p"); return ok(screen) }
	defer func() {
		if x.t.Failed() {
			x.t.Logf("the screen was\n%s", screen)
		}
	}()
	eventually(x.t, what, done)
}

// told waits until the program wrote something that no screen shows.
func (x *tmux) told(sequence string) {
	x.t.Helper()
	eventually(x.t, fmt.Sprintf("%q to the terminal", sequence), func() bool {
		data, err := os.ReadFile(filepath.Join(x.home, "written"))
		return err == nil && strings.Contains(string(data), sequence)
	})
}

// keys types named keys; text types letters.
func (x *tmux) keys(keys ...string) {
	x.t.Helper()
	for _, k := range keys {
		x.do("send-keys", k)
	}
}

func (x *tmux) text(text string) { x.do("send-keys", "-l", text) }

// dismiss takes away every message.
func (x *tmux) dismiss() {
	x.t.Helper()
	x.escapeFrom("dismisses")
}

// escapeFrom types Escape until a text is gone. Only time tells Escape from Alt and the key behind it.
func (x *tmux) escapeFrom(text string) {
	x.t.Helper()
	for strings.Contains(x.do("capture-pane", "-p"), text) {
		x.keys("Escape")
		time.Sleep(500 * time.Millisecond)
	}
}

// The screen on a terminal, over SSH, for every view and every action.
func TestScreenOverSSH(t *testing.T) {
	t.Parallel()
	server := sshtest.Start(t, sshtest.Options{})
	u := newUser(t, server)
	u.twoHosts(filepath.Join(u.home, "d"))
	u.write("cyclops.toml", "name = \"blinky\"\n", 0o644)
	x := newTmux(u)
	x.text("echo before; cyclops")
	x.keys("Enter")
	x.see("No jobs yet", "cyclops run -- make", "2 hosts")

	// What others begin is pushed.
	if got := u.cyclops("", "submit", "--isolated", "--name", "ticker", "--", "sh", "-c", "echo one; printf '\\033]0;evil\\007\\n'; echo 'ERROR: [X 1] bad net' >&2; echo two; exec sleep 600"); got.code != 0 {
		t.Fatal(got)
	}
	x.see("ticker", "running")
	build := func(size string) {
		got := u.cyclops("", "run", "--isolated", "--name", "build", "--output", "build/**", "--", "sh", "-c", "mkdir -p build/rpt; echo 'fmax 48 MHz' >build/top.rpt; head -c "+size+" /dev/zero >build/top.bin; echo WARNING: late; exit 3")
		if got.code != 3 {
			t.Fatal(got)
		}
	}
	build("1000")
	build("2000")
	x.see("failed (3)", "build")
	testScreenTable(x)
	testScreenMouse(x)
	testScreenLog(x)
	testScreenJob(x)
	testScreenArtifacts(x)
	testScreenActions(x)
	testScreenHosts(x, server)
	x.keys("q")
	x.see("before")
	if mode := strings.TrimSpace(x.do("display-message", "-p", "#{alternate_on}#{cursor_flag}#{mouse_any_flag}")); mode != "010" {
		t.Errorf("the terminal was left as %s", mode)
	}
}

func testScreenTable(x *tmux) {
	x.keys("f")
	x.text("state:fa")
	x.keys("Tab", "Enter")
	x.until("only failed jobs", func(s string) bool {
		return strings.Contains(s, "filter: state:failed") && !strings.Contains(s, "ticker")
	})
	x.escapeFrom("filter: state:failed")
	x.see("ticker")
	x.keys("b")
	x.see("grouped by host")
	x.keys("b", "b", "s")
	x.see("by name")
	x.keys("S")
	x.see("by name↑")
	x.keys("S", "s", "s", "s", "s", "s", "*")
	x.see("3 marked")
	x.keys("*")
	x.until("no marks", func(s string) bool { return !strings.Contains(s, "marked") })
	testScreenSearch(x)
	x.keys("/")
	x.text("tick")
	x.keys("Enter")
	x.see("/tick")
	x.escapeFrom("/tick")
	x.keys("g", "?")
	x.see("The keys of this place: jobs", "cyclops cancel JOB…")
	x.keys("q")
	x.see("enter open") // what the palette says of an action, the keys of the place say too
	x.keys(":")
	x.text("priority")
	x.see("enter do it", "moves it in the queue")
	x.escapeFrom("enter do it")
}

// copied is the id of the job that is chosen.
func (x *tmux) copied(not string) (id string) {
	x.t.Helper()
	x.keys("y")
	x.until("another id", func(s string) bool {
		_, after, _ := strings.Cut(s, "copied "+x.server.Name+"/")
		id, _, _ = strings.Cut(after, " ")
		return id != "" && id != not
	})
	return id
}

func testScreenSearch(x *tmux) {
	x.keys("g", "/")
	x.text("build")
	x.keys("Enter")
	first := x.copied("")
	x.keys("n")
	second := x.copied(first)
	x.keys("N")
	if third := x.copied(second); third != first {
		x.t.Errorf("from %s to %s, and back to %s", first, second, third)
	}
	x.escapeFrom("/build")
}

// What a mouse sends, and the palette.
func testScreenMouse(x *tmux) {
	x.text("\x1b[<0;20;1M")
	x.see("ADDRESS")
	x.text("\x1b[<0;12;1M")
	x.see("WHAT")
	x.keys("g")
	first := x.copied("")
	x.text("\x1b[<0;20;5M")
	second := x.copied(first)
	x.text("\x1b[<64;20;5M")
	if again := x.copied(second); again != first {
		x.t.Errorf("the wheel led to %s, not to %s", again, first)
	}
	x.keys("Tab")
	x.see("ADDRESS")
	x.keys("y")
	x.see("copied ")
	x.keys("1")
	x.see("WHAT")
	x.keys(":")
	x.text("reverse")
	x.keys("Enter")
	x.see("by time↑")
	x.keys("S")
	x.dismiss()
}

func testScreenLog(x *tmux) {
	x.keys("t")
	x.see("following", "^[]0;evil^G", "bad net")
	x.keys("T")
	x.see(":")
	x.keys("o", "o")
	x.until("stderr alone", func(s string) bool {
		return strings.Contains(s, "only stderr") && strings.Contains(s, "bad net") && !strings.Contains(s, "two")
	})
	x.keys("o", "g", "e")
	x.see("▸")
	x.keys("E")
	x.see("no further error or warning above")
	x.dismiss()
	x.keys("l")
	x.until("the log moved sideways", func(s string) bool { return !strings.Contains(s, "ERROR: [X") && strings.Contains(s, "bad net") })
	x.keys("h", "f")
	x.see("ERROR: [X", "following")
	x.keys("g")
	x.keys("/")
	x.text("TWO")
	x.keys("Enter")
	x.see("no further TWO below")
	x.dismiss()
	x.keys("/", "C-u")
	x.text("o")
	x.keys("Enter")
	x.see("/o 1 of 3")
	x.keys("n")
	x.see("/o 2 of 3")
	x.keys("N")
	x.see("/o 1 of 3")
	x.keys("w")
	x.see("wrapped")
	x.keys("s")
	x.see("save to")
	x.keys("C-u")
	x.text("saved.log")
	x.keys("Enter")
	x.see("saved to saved.log")
	if data, err := os.ReadFile(filepath.Join(x.tree, "saved.log")); err != nil || !strings.HasPrefix(string(data), "one\n\x1b]0;evil") {
		x.t.Errorf("saved %q, %v", data, err)
	}
	x.keys("q")
	x.see("WHAT")
}

func testScreenJob(x *tmux) {
	x.keys("Enter")
	x.see("Steps", "running", "Errors and warnings", "bad net")
	x.do("resize-window", "-x", "60", "-y", "15")
	x.see("state", "command")
	x.do("resize-window", "-x", "100", "-y", "30")
	x.keys("w")
	x.see("1 watched")
	x.keys("y")
	x.see("copied " + x.server.Name + "/")
	x.keys("Y")
	x.see("copied cyclops run -H " + x.server.Name + " --name ticker --isolated -- sh -c")
	x.told("\x1b]52;c;" + base64.StdEncoding.EncodeToString([]byte("cyclops run -H " + x.server.Name))[:16])
	x.keys("o")
	x.until("a shell in the tree", func(s string) bool { return !strings.Contains(s, "Steps") })
	x.text("echo in-$PWD-$((40+3)); exit")
	x.keys("Enter")
	x.told("in-" + x.tree + "-43")
	x.see("Steps")
	testScreenQueue(x)
	x.keys("!")
	x.see("/tree")
	x.text("echo in-the-shell-$((40+2)); exit")
	x.keys("Enter")
	x.see("Steps")
	x.keys("c")
	x.see("Cancel ticker", "[y/N]", "cyclops cancel "+x.server.Name+"/")
	x.keys("y")
	x.see("was cancelled")
	x.told("\x1b]9;cyclops: ticker (" + x.server.Name + "/")
	x.keys("q")
	x.see("WHAT")
	x.dismiss()
}

// A job that waits for the one on the screen is moved in the queue.
func testScreenQueue(x *tmux) {
	if got := x.cyclops("", "submit", "--isolated", "--name", "later", "--after", "ticker", "--", "true"); got.code != 0 {
		x.t.Fatal(got)
	}
	x.keys("q", "f")
	x.text("name:later")
	x.keys("Enter")
	x.until("the job that waits", func(s string) bool { return strings.Contains(s, "queued") && !strings.Contains(s, "ticker  ") })
	x.keys("p")
	x.text("lo")
	x.keys("Tab", "Enter")
	x.see("reprioritise " + x.server.Name + "/")
	if got := x.cyclops("", "show", "--json", "later"); !strings.Contains(got.stdout, `"priority": "low"`) {
		x.t.Errorf("its priority is not low: %v", got)
	}
	x.keys("c", "y")
	x.see("cancelled before it started")
	x.keys("f", "C-u", "Enter")
	x.see("ticker")
	x.keys("/")
	x.text("ticker")
	x.keys("Enter", "Enter")
	x.see("Steps", "running")
}

func testScreenArtifacts(x *tmux) {
	x.keys("f")
	x.text("name:build")
	x.keys("Enter")
	x.until("only builds", func(s string) bool { return !strings.Contains(s, "ticker  ") })
	x.keys("=")
	x.see("changed (1)", "~ build/top.bin     1000 B", "2.0 KiB")
	x.keys("q", "a")
	x.see("top.rpt", "report", "top.bin")
	x.keys("v")
	x.see("✓ verified", "match the manifest")
	x.keys("j", "j", "Enter")
	x.see("fmax 48 MHz")
	x.keys("q", "k", "Enter")
	x.see("00000000  00 00 00 00")
	x.keys("q", "j", "y")
	x.see("copied sha256:")
	x.keys("g", "Enter")
	x.until("a directory that is shut", func(s string) bool { return !strings.Contains(s, "top.rpt") })
	x.keys("Enter")
	x.see("top.rpt")
	x.keys("=")
	x.see("changed (1)")
	x.keys("q", "j", "Space", "Space")
	x.see("2 marked")
	x.keys("F")
	x.see("2 files fetched")
	x.keys("k")
	if err := os.RemoveAll(filepath.Join(x.tree, "build")); err != nil {
		x.t.Fatal(err)
	}
	x.keys("F")
	x.see("1 file fetched")
	if _, err := os.Stat(filepath.Join(x.tree, "build", "top.rpt")); err != nil {
		x.t.Error(err)
	}
	x.keys("q")
	x.see("WHAT")
}

func testScreenActions(x *tmux) {
	x.keys("r")
	x.see("cyclops retry")
	x.until("a third build", func(s string) bool { return strings.Count(s, "failed (3)") == 3 })
	x.keys("Space", "Space", "x")
	x.see("Delete 2 jobs", "cyclops rm ")
	x.keys("y")
	x.until("one build", func(s string) bool { return strings.Count(s, "failed (3)") == 1 })
	x.keys("x", "n", "F")
	x.see("fetched")
	x.keys("P")
	x.see("cyclops pin", "■")
	if got := x.cyclops("", "ps", "--all"); !strings.Contains(got.stdout, "build (pinned)") {
		x.t.Errorf("it is not pinned: %v", got)
	}
	x.keys("P")
	x.see("cyclops unpin")
	x.dismiss()
}

func testScreenHosts(x *tmux, server *sshtest.Server) {
	x.keys("2")
	x.see("HOST", "ADDRESS", "local", server.Name)
	x.keys("G", "D")
	x.see("Drain " + server.Name + "?")
	x.keys("y")
	x.see("drains")
	if got := x.cyclops("", "submit", "--", "true"); got.code != 1 || !strings.Contains(got.stderr, "draining") {
		x.t.Error(got)
	}
	x.keys("R")
	x.see("starts jobs")
	x.keys("d")
	x.see("doctor "+server.Name, "✓ executor")
	x.keys("q", "u")
	x.see("cyclops install " + server.Name)
	x.see("it answers")
	if err := os.Mkdir(filepath.Join(x.home, "d", "workspaces", "nobodys"), 0o700); err != nil {
		x.t.Fatal(err)
	}
	x.keys("C")
	x.see("cyclops gc "+server.Name+" · C frees it", "nobodys")
	x.keys("C")
	x.see("[y/N]")
	x.keys("y")
	x.see("were freed on " + server.Name)
	x.keys("g", "i")
	x.see("install on")
	x.text(server.Name)
	x.keys("Enter")
	x.see("cyclops install "+server.Name, "it answers")
	x.keys("G")
	server.Down()
	x.see("1 lost")
	server.Up()
	x.until("the host again", func(s string) bool { return !strings.Contains(s, "1 lost") })
	x.keys("Enter")
	x.see("filter: host:" + server.Name)
}

// Where there is no terminal cyclops alone says what it is.
func TestBareWithoutATerminalIsHelp(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	if got := u.cyclops("", nil...); got.code != 0 || !strings.Contains(got.stdout, "Usage:") {
		t.Error(got)
	}
	if got := u.cyclops("", "tui"); got.code != 2 || !strings.Contains(got.stderr, "needs a terminal") {
		t.Error(errors.New(got.stderr))
	}
}
