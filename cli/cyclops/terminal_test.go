//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// detach is what the usual keys send.
const detach = "\x1dd"

// fullScreen is a job that switches modes on and waits.
const fullScreen = `printf '\033[?1049h\033[?25l\033[?1000h\033[?2004hdrawn'; read x`

func terminalUser(t *testing.T) *client {
	u := newUser(t, nil)
	u.write("cyclops.toml", "name = \"terminal\"\n", 0o644)
	return u
}

// A job started on a terminal has one: as large, of the same kind, with what is typed going to it.
func TestTerminalIsTheJobs(t *testing.T) {
	t.Parallel()
	u := terminalUser(t)
	u.env = append(u.env, "LANG=C.UTF-8", "LC_TIME=C", "COLORTERM=truecolor")
	c := u.console("run", "--", "sh", "-c", `stty size; echo "$TERM $LANG $LC_TIME $COLORTERM"; test -t 0 && test -t 1 && test -t 2 && echo all; read x; echo "got $x"; exit 3`)
	c.expect("30 90\r\n")
	c.expect("xterm-256color C.UTF-8 C truecolor\r\n")
	c.expect("all\r\n")
	c.settle(true)
	c.send("hello\r")
	c.expect("hello\r\ngot hello\r\n")
	if code := c.exit(); code != 3 {
		t.Errorf("exit code %d", code)
	}
	c.settle(false)
	if strings.Contains(c.text(), "\x1b[?") {
		t.Errorf("modes were touched that the job did not touch: %q", c.text())
	}
}

// -T keeps pipes on a terminal, -t makes a terminal where there is none.
func TestTerminalFlags(t *testing.T) {
	t.Parallel()
	u := terminalUser(t)
	c := u.console("run", "-T", "--", "sh", "-c", "test -t 1 || echo pipes; env | grep -c ^TERM=; true")
	c.expect("pipes\r\n")
	if code := c.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	got := u.cyclops("one\ntwo\n", "run", "-t", "--", "sh", "-c", "tty >/dev/null && stty size; cat >here; exit 4")
	if !strings.Contains(got.stdout, "24 80\r\n") || got.code != 4 {
		t.Error(got)
	}
	if here, err := os.ReadFile(filepath.Join(u.tree, "here")); string(here) != "one\ntwo\n" {
		t.Errorf("%q arrived, %v", here, err)
	}
	if got := u.cyclops("", "run", "-t", "-T", "--", "true"); got.code != 125 || !strings.Contains(got.stderr, "exclude") {
		t.Error(got)
	}
}

// A window without a size is said, and the job gets a usable one.
func TestTerminalOfNoSize(t *testing.T) {
	t.Parallel()
	u := terminalUser(t)
	cmd := exec.Command("sh", "-c", "stty rows 0 cols 0; exec cyclops run -- stty size")
	u.env = append(u.env, "PATH="+binaries+":"+os.Getenv("PATH"))
	c := u.consoleOf(cmd)
	c.expect("0 rows and 0 columns; the job gets 24 and 80\r\n")
	c.expect("24 80\r\n")
	c.exit()
}

// However the command ends, the terminal is as it was, and the modes that the job switched on are off.
func TestTerminalIsRestored(t *testing.T) {
	t.Parallel()
	reset := "\x1b[?1000l\x1b[?2004l\x1b[?1049l\x1b[?25h\x1b[0m"
	for name, end := range map[string]struct {
		do   func(*console)
		code int
	}{
		"detach keys": {func(c *console) { c.send(detach) }, 0},
		"SIGTERM":     {func(c *console) { c.signal(syscall.SIGTERM) }, 128 + 15},
		"SIGHUP":      {func(c *console) { c.signal(syscall.SIGHUP) }, 128 + 1},
		"SIGKILL":     {func(c *console) { c.signal(syscall.SIGKILL) }, -9},
		"SIGKILL of the group": {func(c *console) {
			if err := syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL); err != nil {
				c.t.Fatal(err)
			}
		}, -9},
		"crash":         {func(c *console) { c.signal(syscall.SIGABRT) }, 2},
		"job cancelled": {func(c *console) { c.u.cyclops("", "cancel", "@1") }, 128 + 15},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := terminalUser(t).console("run", "--", "sh", "-c", fullScreen)
			c.expect("drawn")
			c.settle(true)
			end.do(c)
			if code := c.exit(); code != end.code {
				t.Errorf("exit code %d, want %d", code, end.code)
			}
			c.expect(reset)
			c.settle(false)
		})
	}
}

// What a job that ended by itself leaves on the screen stays, as it would have here.
func TestTerminalOfOrderlyEnd(t *testing.T) {
	t.Parallel()
	u := terminalUser(t)
	c := u.console("run", "--", "sh", "-c", `printf '\033[?1049h\033[?1049l\033[31mred'`)
	c.expect("\x1b[31mred")
	c.exit()
	if strings.Contains(c.text()[strings.Index(c.text(), "red"):], "\x1b[?") {
		t.Errorf("%q", c.text())
	}
	c.settle(false)
}

func TestTerminalResizes(t *testing.T) {
	t.Parallel()
	u := terminalUser(t)
	c := u.console("run", "--", "sh", "-c", `trap 'stty size' WINCH; echo ready; while :; do sleep 0.02; done`)
	c.expect("ready")
	c.settle(true)
	if err := pty.Setsize(c.master, &pty.Winsize{Rows: 41, Cols: 133}); err != nil {
		t.Fatal(err)
	}
	c.expect("41 133\r\n")
	c.send("\x03")
	if code := c.exit(); code != 128+2 {
		t.Errorf("Ctrl-C ends the job with %d", code)
	}
}

// SIGTSTP stops the screen here and nothing else; SIGCONT brings it back, drawn anew.
func TestTerminalStops(t *testing.T) {
	t.Parallel()
	u := terminalUser(t)
	c := u.console("run", "--", "sh", "-c", `trap 'echo again' WINCH; printf '\033[?1049h'; echo ready; while :; do sleep 0.02; done`)
	c.expect("ready")
	c.settle(true)
	c.signal(syscall.SIGTSTP)
	c.expect("\x1b[?1049l")
	c.settle(false)
	eventually(t, "the stop", func() bool { return processState(t, c.cmd.Process.Pid) == "T" })
	c.signal(syscall.SIGCONT)
	c.expect("\x1b[?1049h")
	c.expect("again")
	c.settle(true)
	c.send(detach)
	c.expect("goes on")
	c.exit()
	c.settle(false)
}

func processState(t *testing.T, pid int) string {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	return string(rest[:1])
}

// In the background of a shell a job runs as a local tool would: no key of the shell's reaches it.
func TestTerminalInTheBackground(t *testing.T) {
	t.Parallel()
	u := terminalUser(t)
	u.env = append(u.env, "PATH="+binaries+":"+os.Getenv("PATH"))
	c := u.consoleOf(exec.Command("bash", "--norc", "-ic", "PS1=; cyclops run -- sh -c 'echo tick; test -t 1 || echo pipes; sleep 0.3; echo done' & read -p shell: x; echo the shell got $x; wait; stty -a | grep -wo icanon"))
	c.expect("tick\r\n")
	c.expect("pipes\r\n")
	c.send("mine\n")
	c.expect("the shell got mine\r\n")
	c.expect("done\r\n")
	c.expect("icanon")
}

// Detached by key, a job goes on; attach shows what came meanwhile, its input reaches it, and its
// files come to the tree. Together the screens showed each byte once.
func TestDetachAndAttach(t *testing.T) {
	t.Parallel()
	u := terminalUser(t)
	c := u.console("run", "--", "sh", "-c", `stty -echo; echo first; read x; echo "between $x"; touch made; read y; echo "last $y"; exit 5`)
	c.expect("first\r\n")
	c.settle(true)
	c.send("\x1dx\r") // not the keys: all of it is the job's
	c.expect("between \x1dx\r\n")
	c.send("\x1d")
	c.send("d")
	c.expect("goes on\r\n")
	c.expect("cyclops attach ")
	if code := c.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	id := u.latest()
	if state := u.state(id); state != "running" {
		t.Errorf("the job is %s", state)
	}
	a := u.console("attach", "@1")
	a.settle(true)
	a.send("b\r")
	a.expect("last b\r\n")
	if code := a.exit(); code != 5 {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(a.text(), "first") {
		t.Errorf("attach shows again what was shown: %q", a.text())
	}
	if _, err := os.Stat(filepath.Join(u.tree, "made")); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(filepath.Join(u.home, ".state", "cyclops", "screens")); len(left) != 0 {
		t.Errorf("%v is still remembered", left)
	}
	again := u.cyclops("", "attach", id)
	if want := "first\r\nbetween \x1dx\r\nlast b\r\n"; again.stdout != want || again.code != 5 {
		t.Errorf("a job that has ended shows %v", again)
	}
}

// Detached by signals time and again, a log arrives whole and once.
func TestAttachMissesNothing(t *testing.T) {
	t.Parallel()
	u := terminalUser(t)
	var all bytes.Buffer
	cmd, out, stderr := u.readable("run", "--", "sh", "-c", "i=0; while [ $i -lt 30 ]; do seq $((i*1000)) $((i*1000+999)); i=$((i+1)); sleep 0.03; done")
	for n := 1; ; n++ {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for range 3 { // chunks of what is written
			got, err := io.CopyN(&all, out, 1000)
			if got == 0 || err != nil {
				break
			}
		}
		_ = cmd.Process.Signal(syscall.SIGHUP)
		if _, err := io.Copy(&all, out); err != nil {
			t.Fatal(err)
		}
		code := exitCodeOf(cmd.Wait())
		// The last signal came behind the log's end, or even ended a process that had shown all and was leaving.
		if code == 0 || code == -1 || strings.Contains(stderr.String(), "not all outputs") {
			break
		}
		if code != 129 || !strings.Contains(stderr.String(), "cyclops attach ") || n > 500 {
			t.Fatalf("code %d, %s", code, stderr)
		}
		cmd, out, stderr = u.readable("attach", "@1")
	}
	want := u.cyclops("", "logs", "@1").stdout
	if all.String() != want || len(want) < 100_000 {
		t.Errorf("%d bytes were shown, the log has %d", all.Len(), len(want))
	}
}

// Any number may watch; the input is the newest attach's, and the one that had it is told.
func TestWatchers(t *testing.T) {
	t.Parallel()
	u := terminalUser(t)
	c := u.console("run", "--", "sh", "-c", `stty -echo; echo ready; while read x; do echo "<$x>"; done`)
	c.expect("ready\r\n")
	c.settle(true)
	watch := u.console("attach", "--no-stdin", "@1")
	watch.expect("ready\r")
	taker := u.console("attach", "@1")
	taker.expect("ready\r\n")
	taker.settle(true)
	c.expect("another attach has the job's input now; ctrl-] d leaves the job running")
	taker.send("mine\r")
	for _, each := range []*console{c, watch, taker} {
		each.expect("<mine>\r")
	}
	c.send("lost\r")
	c.send(detach)
	if code := c.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	taker.send("still\r")
	watch.expect("<still>\r")
	taker.send("\x04")
	if a, b := taker.exit(), watch.exit(); a != 0 || b != 0 {
		t.Errorf("they end with %d and %d", a, b)
	}
}

// SIGTERM leaves a job running, unless it is tied to the command.
func TestTie(t *testing.T) {
	t.Parallel()
	u := terminalUser(t)
	for _, args := range [][]string{{"run", "--tie", "-T"}, {"run", "--tie", "-t"}} {
		c := u.console(append(args, "--", "sh", "-c", "echo tick; sleep 600")...)
		c.expect("tick")
		c.signal(syscall.SIGTERM)
		if code := c.exit(); code != 128+15 {
			t.Errorf("%v: exit code %d", args, code)
		}
		if state := u.state(u.latest()); state != "cancelled" {
			t.Errorf("%v: the job is %s", args, state)
		}
		c.settle(false)
	}
}

// Without a terminal of its own a job gets the first two Ctrl-C; the third leaves it, Ctrl-\ kills it.
func TestInterruptLadder(t *testing.T) {
	t.Parallel()
	u := terminalUser(t)
	c := u.console("run", "-T", "--", "sh", "-c", `trap 'echo INT' INT; while :; do echo tick; sleep 0.1; done`)
	c.expect("tick")
	c.send("\x03")
	c.expect("INT")
	c.send("\x03")
	c.expect("Ctrl-C again leaves it running")
	c.send("\x03")
	c.expect("goes on")
	if code := c.exit(); code != 128+2 {
		t.Errorf("exit code %d", code)
	}
	a := u.console("attach", "@1")
	a.expect("tick")
	a.send("\x03")
	a.expect("INT")
	a.send("\x03")
	a.expect("Ctrl-\\ kills it")
	a.send("\x1c")
	if code := a.exit(); code != 128+15 && code != 128+9 {
		t.Errorf("exit code %d", code)
	}
	c.settle(false)
}

// A terminal that goes away leaves the job running and hangs nothing.
func TestTerminalHangsUp(t *testing.T) {
	t.Parallel()
	u := terminalUser(t)
	c := u.console("run", "--", "sh", "-c", "echo tick; cat; sleep 600")
	c.expect("tick")
	c.settle(true)
	c.hangUp()
	if code := c.exit(); code != 128+1 {
		t.Errorf("exit code %d", code)
	}
	id := u.latest()
	if state := u.state(id); state != "running" {
		t.Errorf("the job is %s", state)
	}
	u.cyclops("", "cancel", id)
}

// Full-screen programs work as they do here; what they showed is there again after an attach.
func TestFullScreenPrograms(t *testing.T) {
	t.Parallel()
	u := terminalUser(t)
	var text strings.Builder
	for i := range 500 {
		fmt.Fprintf(&text, "line %d\n", i+1)
	}
	u.write("text", text.String(), 0o644)
	for _, c := range []struct {
		program         string
		down, screen    string
		quit, afterward string
	}{
		{"less text", "G", "line 500", "q", "left less"},
		{"vim -u NONE text", "G", "line 500", ":q!\r", "left vim"},
	} {
		if _, err := exec.LookPath(strings.Fields(c.program)[0]); err != nil {
			continue
		}
		s := u.tmux()
		s.keys("cyclops run -- " + c.program + "; echo left " + strings.Fields(c.program)[0] + "\r")
		s.shows("line 10")
		s.keys(c.down)
		s.shows(c.screen)
		s.keys(detach)
		s.shows("goes on")
		s.hides(c.screen)
		s.keys("clear; cyclops attach @1; echo and $?\r")
		s.shows(c.screen)
		s.keys(c.quit)
		s.shows("and 0")
		s.hides(c.screen)
	}
}

// screenful is a terminal that draws, as people's do.
type screenful struct {
	u      *client
	socket string
}

func (u *client) tmux() *screenful {
	u.t.Helper()
	s := &screenful{u: u, socket: filepath.Join(u.t.TempDir(), "s")}
	s.tmux("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", "PS1='$ ' exec sh")
	u.t.Cleanup(func() { s.tmux("kill-server") })
	return s
}

func (s *screenful) tmux(args ...string) string {
	s.u.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-S", s.socket}, args...)...)
	cmd.Dir, cmd.Env = s.u.tree, append(s.u.env, "PATH="+binaries+":"+os.Getenv("PATH"), "TMUX=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.u.t.Fatalf("%v: %v: %s", args, err, out)
	}
	return string(out)
}

func (s *screenful) keys(text string) {
	s.u.t.Helper()
	s.tmux("send-keys", "-l", text)
}

func (s *screenful) shows(text string) {
	s.u.t.Helper()
	shown := ""
	for limit := time.Now().Add(soon); ; time.Sleep(20 * time.Millisecond) {
		if shown = s.tmux("capture-pane", "-p"); strings.Contains(shown, text) {
			return
		}
		if time.Now().After(limit) {
			s.u.t.Fatalf("%q is not shown:\n%s", text, shown)
		}
	}
}

func (s *screenful) hides(text string) {
	s.u.t.Helper()
	if shown := s.tmux("capture-pane", "-p"); strings.Contains(shown, text) {
		s.u.t.Fatalf("%q is still shown:\n%s", text, shown)
	}
}

// A line that is gone is said in place, can be left at once, and comes back without a trace.
func TestLostContactIsSaidInPlace(t *testing.T) {
	t.Parallel()
	server := sshtest.Start(t, sshtest.Options{Name: "lab", MaxSessions: 100, Extra: []string{"MaxStartups 100"}})
	line := server.Cutter()
	u := newUser(t, server)
	u.env = append(u.env, "CYCLOPS_SSH_CONFIG="+line.ConfigFile)
	u.write("cyclops.toml", "name = \"terminal\"\n", 0o644)
	c := u.console("run", "--", "sh", "-c", `stty -echo; echo ready; while read x; do echo "<$x>"; done`)
	c.expect("ready\r\n")
	c.settle(true)
	line.Down()
	c.expect("lost contact with lab")
	c.expect("ctrl-] d leaves the job running")
	c.send("typed meanwhile\r")
	line.Up()
	c.expect("<typed meanwhile>\r\n")
	line.Down()
	c.expect("lost contact with lab")
	c.send(detach)
	if code := c.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	line.Up()
	a := u.console("attach", "@1")
	a.settle(true)
	a.send("\x04")
	if code := a.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	cmd, _, stderr := u.piped("run", "--patience", "2s", "--", "sh", "-c", "echo tick; sleep 600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the job", func() bool { return u.state("@1") == "running" })
	line.Down()
	if code := exitCodeOf(cmd.Wait()); code != 255 || !strings.Contains(stderr.String(), "cyclops attach ") || !strings.Contains(stderr.String(), "lost contact with lab; trying again\n") {
		t.Errorf("code %d, %s", code, stderr)
	}
	line.Up()
	u.cyclops("", "cancel", "@1")
}

// A command that is busy with what comes behind its job, on a terminal that is no longer raw, can
// be stopped as any command can.
func TestStopsBehindItsJob(t *testing.T) {
	t.Parallel()
	u := terminalUser(t)
	u.env = append(u.env, "PATH="+binaries+":"+os.Getenv("PATH"))
	report := filepath.Join(u.home, "report")
	if err := syscall.Mkfifo(report, 0o600); err != nil {
		t.Fatal(err)
	}
	c := u.consoleOf(exec.Command("bash", "--norc", "-ic", `cyclops run --status-file "$0" -- sh -c 'echo hi; read x'; echo "left with $?"; kill -KILL %1; wait`, report))
	c.expect("hi\r\n")
	c.settle(true)
	c.send("\r")
	c.expect("succeeded")
	c.settle(false)
	c.send("\x1a")
	c.expect("Stopped")
}

// A job that had succeeded before the signal could cancel it was not cancelled.
func TestTieOfJobThatSucceeded(t *testing.T) {
	t.Parallel()
	server := sshtest.Start(t, sshtest.Options{Name: "lab", MaxSessions: 100, Extra: []string{"MaxStartups 100"}})
	line := server.Cutter()
	u := newUser(t, server)
	u.env = append(u.env, "CYCLOPS_SSH_CONFIG="+line.ConfigFile)
	u.write("cyclops.toml", "name = \"terminal\"\n", 0o644)
	begun, ended := filepath.Join(u.home, "begun"), filepath.Join(u.home, "ended")
	cmd, _, stderr := u.piped("run", "--tie", "--", "sh", "-c", "touch "+begun+"; while [ ! -e "+ended+" ]; do sleep 0.05; done")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the job", func() bool { _, err := os.Stat(begun); return err == nil })
	line.Down()
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := os.WriteFile(ended, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its end", func() bool {
		found, _ := filepath.Glob(filepath.Join(u.home, "d", "jobs", "*", "manifest.json"))
		return len(found) == 1
	})
	line.Up()
	if code := exitCodeOf(cmd.Wait()); code != 0 || strings.Contains(stderr.String(), "cancelled") {
		t.Errorf("code %d, %s", code, stderr)
	}
}
