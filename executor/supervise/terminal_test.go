//go:build linux

package supervise

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

func onTerminal(j *manifest.Job) {
	j.Terminal = &manifest.Terminal{Term: "xterm", Rows: 30, Cols: 100}
}

// typed sends keys at the offset where the input stands.
func (j *job) typed(at int64, keys string) int64 {
	j.t.Helper()
	if err := j.w.Offset(api.FrameStdin, at, []byte(keys)); err != nil {
		j.t.Fatal(err)
	}
	return at + int64(len(keys))
}

// awaitText waits until the log holds text.
func (j *job) awaitText(text string) {
	j.t.Helper()
	j.await(fmt.Sprintf("%q was written", text), func() bool { return strings.Contains(j.text(0), text) })
}

func TestAJobOnATerminalSeesOne(t *testing.T) {
	t.Parallel()
	const script = `test -t 0 && test -t 1 && test -t 2 && echo three
test "$(tty)" = "$(readlink /proc/self/fd/2)" && echo same
echo deep > /dev/tty
echo $TERM
stty size
echo err >&2
test "$(ps -o sid= -p $$)" -eq $$ && test "$(ps -o tpgid= -p $$)" -eq $$ && echo leader`
	j, m := newBench(t).run(sh(script), onTerminal)
	wantExit(t, m, manifest.Succeeded, 0)
	if want := "three\r\nsame\r\ndeep\r\nxterm\r\n30 100\r\nerr\r\nleader\r\n"; j.text(0) != want || j.text(api.Stderr) != "" {
		t.Errorf("log %q, want %q", j.text(0), want)
	}
	if !m.Terminal || !j.states[0].Terminal || len(j.states[0].Warnings) != 0 {
		t.Errorf("manifest says terminal %v, state %+v", m.Terminal, j.states[0])
	}
}

func TestAJobOnPipesHasNoTerm(t *testing.T) {
	t.Parallel()
	j, m := newBench(t).run(sh(`echo "[$TERM]"; tty`))
	wantExit(t, m, manifest.Failed, 1)
	if j.text(0) != "[]\nnot a tty\n" || m.Terminal {
		t.Errorf("log %q", j.text(0))
	}
}

func TestATerminalOfUnknownSizeHasADefault(t *testing.T) {
	t.Parallel()
	j, m := newBench(t).run(sh(`stty size`), onTerminal, func(j *manifest.Job) { j.Terminal.Rows = 0 })
	wantExit(t, m, manifest.Succeeded, 0)
	if last := j.states[len(j.states)-1]; j.text(0) != "24 80\r\n" || len(last.Warnings) != 1 || !strings.Contains(last.Warnings[0], "24") {
		t.Errorf("log %q, state %+v", j.text(0), last)
	}
}

func TestATerminalFollowsItsSize(t *testing.T) {
	t.Parallel()
	j := newBench(t).start(sh(`trap 'stty size' WINCH; echo up; while :; do sleep 0.01; done`), onTerminal)
	j.awaitText("up")
	for _, cols := range []int{60, 61, 0, 62} {
		if err := j.w.JSON(api.FrameResize, api.Resize{Rows: 20, Cols: cols}); err != nil {
			t.Fatal(err)
		}
	}
	j.awaitText("20 62\r\n")
	j.cancelNow(0)
	j.end()
}

func TestASizeThatComesBeforeTheStepCounts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	gate := filepath.Join(t.TempDir(), "gate")
	j := b.make(argv("stty", "size"), onTerminal)
	j.launch.Tools = waitFor(gate)
	j.begin()
	j.await("it was preparing", j.phase(api.PhasePreparing))
	j.w.JSON(api.FrameResize, api.Resize{Rows: 5, Cols: 6})
	j.w.JSON(api.FrameResize, api.Resize{Rows: 7, Cols: 8})
	j.w.Write(api.FrameStdinTake, []byte("{}")) // its answer says that the sizes were heard
	j.await("an answer", func() bool { return j.owners > 0 })
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if wantExit(t, j.end(), manifest.Succeeded, 0); j.text(0) != "7 8\r\n" {
		t.Errorf("log %q", j.text(0))
	}
}

func TestKeysOfATerminal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, line, keys, want string
		code                   int
		signal                 string
	}{
		{name: "echo", line: "echo up; read a; echo got $a", keys: "some\r", want: "up\r\nsome\r\ngot some\r\n"},
		{name: "ctrl-d", line: "echo up; cat; echo end", keys: "x\r\x04", want: "up\r\nx\r\nx\r\nend\r\n"},
		{name: "ctrl-c", line: "echo up; exec sleep 1000", keys: "\x03", want: "up\r\n^C", signal: "INT"},
		{name: "ctrl-c to a child", line: "trap 'echo bye; exit 3' INT; echo up; while :; do sleep 0.01; done", keys: "\x03", want: "up\r\n^Cbye\r\n", code: 3},
		{name: "ctrl-backslash", line: "ulimit -c 0; echo up; exec sleep 1000", keys: "\x1c", want: "up\r\n^\\", signal: "QUIT"},
		{name: "ctrl-z", line: "echo up; exec cat", keys: "\x1ax\r\x04", want: "up\r\n^Zx\r\nx\r\n"},
		{name: "ctrl-z to a child", line: "echo up; cat; echo end", keys: "\x1ax\r\x04", want: "up\r\n^Zx\r\nx\r\nend\r\n"},
		{name: "raw", line: "stty raw -echo; echo up; head -c 3 | od -An -c", keys: "\x03\x1a\x04", want: "up\n 003 032 004\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := newBench(t).start(sh(c.line), onTerminal, withStdin)
			j.awaitText("up")
			j.typed(0, c.keys)
			m := j.end()
			if c.signal == "" {
				state := manifest.Succeeded
				if c.code != 0 {
					state = manifest.Failed
				}
				wantExit(t, m, state, c.code)
			} else if m.Signal != c.signal {
				t.Errorf("%s by %q, %s", m.State, m.Signal, m.Reason)
			}
			if j.text(0) != c.want {
				t.Errorf("log %q, want %q", j.text(0), c.want)
			}
		})
	}
}

func TestTheEndOfInputReachesATerminal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ keys, line, want string }{
		"nothing":        {"", "cat; echo end", "end\r\n"},
		"a line":         {"a\n", "cat; echo end", "a\r\na\r\nend\r\n"},
		"a begun line":   {"ab", "cat; echo end", "ababend\r\n"},
		"return":         {"a\r", "cat; echo end", "a\r\na\r\nend\r\n"},
		"no echo":        {"abc", "stty -echo; echo up; cat; echo end", "up\r\nabcend\r\n"},
		"not in raw":     {"abc", "stty raw -echo; echo up; head -c 3; stty cooked; echo; echo end", "up\nabc\r\nend\r\n"},
		"without length": {"", "stty -echo; echo up; wc -c", "up\r\n0\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newBench(t).start(sh(c.line), onTerminal, withStdin)
			if strings.Contains(c.line, "up") {
				j.awaitText("up")
			}
			at := j.typed(0, c.keys)
			j.w.Offset(api.FrameStdinEnd, at, nil)
			wantExit(t, j.end(), manifest.Succeeded, 0)
			if j.text(0) != c.want {
				t.Errorf("log %q, want %q", j.text(0), c.want)
			}
		})
	}
}

func TestEveryStepMeetsTheEndOfInput(t *testing.T) {
	t.Parallel()
	steps := func(j *manifest.Job) {
		j.Steps = []manifest.Step{{Run: "cat; echo one"}, {Run: "tty; stty -echo; cat; echo two"}, {Run: "stty -a | grep -o -e '-echo '; tty; cat; echo three"}}
	}
	j, m := newBench(t).run(steps, onTerminal)
	wantExit(t, m, manifest.Succeeded, 0)
	lines := strings.Split(j.text(0), "\r\n")
	if len(lines) != 7 || lines[1] != lines[4] || lines[3] != "-echo " || lines[5] != "three" {
		t.Errorf("log %q", lines)
	}
}

// TestNoByteOfATerminalIsLost ends the leader of the session right behind its last byte.
func TestNoByteOfATerminalIsLost(t *testing.T) {
	t.Parallel()
	tries := 30
	if testing.Short() {
		tries = 3
	}
	b := newBench(t)
	for i := range tries {
		size := []int{0, 1, 4095, 4096, 8191, 8193, 70000, 300000}[i%8]
		j, m := b.run(argv("head", "-c", fmt.Sprint(size), "/dev/zero"), onTerminal)
		wantExit(t, m, manifest.Succeeded, 0)
		if got := len(j.text(0)); got != size {
			t.Errorf("%d of %d bytes are in the log", got, size)
		}
	}
}

// TestNoByteOfATerminalIsLostWhileNobodyReads has the session end while its output is in the
// kernel alone.
func TestNoByteOfATerminalIsLostWhileNobodyReads(t *testing.T) {
	t.Parallel()
	j := newBench(t).start(sh("kill -STOP $PPID; head -c 7000 /dev/zero"), onTerminal)
	for late := time.Now().Add(patience); !held(t, j.process.PID); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Error("the session did not end while its supervisor was held")
			break
		}
	}
	if err := unix.Kill(j.process.PID, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	wantExit(t, j.end(), manifest.Succeeded, 0)
	if got := len(j.text(0)); got != 7000 {
		t.Errorf("%d bytes are in the log", got)
	}
}

// held tells whether a process is stopped and has a child that has ended, and no other.
func held(t *testing.T, pid int) bool {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	stopped, ended, alive := false, 0, 0
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		switch {
		case path == fmt.Sprintf("/proc/%d/stat", pid):
			stopped = fields[0] == "T"
		case fields[1] == fmt.Sprint(pid) && fields[0] == "Z":
			ended++
		case fields[1] == fmt.Sprint(pid):
			alive++
		}
	}
	return stopped && ended == 1 && alive == 0
}

func TestFiveMegabytesThroughATerminal(t *testing.T) {
	t.Parallel()
	const size = 5 << 20
	j, m := newBench(t).run(sh(fmt.Sprintf("stty -opost; head -c %d /dev/zero | tr '\\0' 'x'", size)), onTerminal)
	wantExit(t, m, manifest.Succeeded, 0)
	if got := j.text(api.Stdout); len(got) != size || strings.Trim(got, "x") != "" {
		t.Errorf("%d bytes are in the log", len(got))
	}
}

func TestInputThroughARawTerminalArrivesWhole(t *testing.T) {
	t.Parallel()
	data := randomBytes(1<<20 + 17)
	j := newBench(t).start(sh(fmt.Sprintf("stty raw -echo; echo up; head -c %d | sha256sum", len(data))), onTerminal, withStdin)
	j.awaitText("up")
	if sent := j.send(data, false); sent != len(data) {
		t.Errorf("%d bytes were taken", sent)
	}
	wantExit(t, j.end(), manifest.Succeeded, 0)
	if want := fmt.Sprintf("up\n%x  -\n", sha256.Sum256(data)); j.text(0) != want {
		t.Errorf("log %q, want %q", j.text(0), want)
	}
}

func TestATerminalThatNobodyReadsEndsWithItsJob(t *testing.T) {
	t.Parallel()
	j := newBench(t).start(sh("stty raw -echo; echo up; sleep 0.3"), onTerminal, withStdin)
	j.awaitText("up")
	if sent := j.sendUntilOver(make([]byte, 10<<20)); sent > 1<<20 {
		t.Errorf("%d bytes were taken by a job that reads none", sent)
	}
	wantExit(t, j.end(), manifest.Succeeded, 0)
}

func TestOutputThatWasHeldComesAtTheEnd(t *testing.T) {
	t.Parallel()
	j := newBench(t).start(sh("echo up; read a; echo held"), onTerminal, withStdin)
	j.awaitText("up")
	j.typed(0, "\x13\r") // Ctrl-S
	j.await("it was typed", func() bool { return j.ack == 2 })
	j.cancelNow(0.1)
	if m := j.end(); m.State != manifest.Cancelled {
		t.Errorf("%s: %s", m.State, m.Reason)
	}
	assertNothingLeft(t, j)
}

func TestSignalsGoToTheForeground(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash to have a foreground of its own")
	}
	// The child is in a group of its own, as job control puts it; the shell goes on.
	const script = `set -m; sh -c 'trap "echo child; exit 5" USR1; echo up; while :; do sleep 0.01; done'; echo shell $?`
	j := newBench(t).start(argv("bash", "-c", script), onTerminal)
	j.awaitText("up")
	j.w.JSON(api.FrameSignal, api.Signal{Name: "USR1"})
	wantExit(t, j.end(), manifest.Succeeded, 0)
	if !strings.HasSuffix(j.text(0), "child\r\nshell 5\r\n") {
		t.Errorf("log %q", j.text(0))
	}
}

func TestCancelKillsTheTreeOfATerminal(t *testing.T) {
	t.Parallel()
	j := newBench(t).start(named(stubborn), onTerminal)
	j.await("all processes were up", func() bool { return strings.Count(j.text(0), "up\r\n") >= 3 })
	j.cancelNow(0.2)
	if m := j.end(); m.State != manifest.Cancelled || m.Signal != "KILL" {
		t.Errorf("%s by signal %q, reason %q", m.State, m.Signal, m.Reason)
	}
	assertNothingLeft(t, j)
}

func TestAnInteractiveShellOnATerminal(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash")
	}
	j := newBench(t).start(argv("bash", "--norc", "--noprofile", "-i"), onTerminal, withStdin)
	at := j.typed(0, "PS1='$ '; set +o history; echo u''p\n")
	j.awaitText("up\r\n")
	at = j.typed(at, "sleep 1234567\n")
	j.awaitText("sleep 1234567\r\n")
	for !slices.ContainsFunc(commandsWith(t, "1234567"), func(line string) bool { return strings.HasPrefix(line, "sleep 1234567") }) {
		time.Sleep(time.Millisecond)
	}
	at = j.typed(at, "\x1a")
	j.awaitText("Stopped")
	at = j.typed(at, "kill %1; wait; echo e''nd\n")
	j.awaitText("end\r\n")
	j.typed(at, "exit 4\nexit 4\n") // the first only warns while the shell has not heard of the end of its job
	wantExit(t, j.end(), manifest.Failed, 4)
	assertNothingLeft(t, j)
}

func TestATerminalOfAnUnknownKind(t *testing.T) {
	t.Parallel()
	j, m := newBench(t).run(sh("echo $TERM"), onTerminal, func(j *manifest.Job) { j.Terminal.Term = "no-such-terminal" })
	wantExit(t, m, manifest.Succeeded, 0)
	last := j.states[len(j.states)-1]
	if strings.Contains(j.text(0), "no-such") || len(last.Warnings) != 1 || !strings.Contains(last.Warnings[0], "no-such-terminal") {
		t.Errorf("log %q, warnings %q", j.text(0), last.Warnings)
	}
}

func TestTermFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"own/6b/kitty", "home/.terminfo/f/foot", "more/s/screen"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"TERMINFO=" + dir + "/own", "HOME=" + dir + "/home", "TERMINFO_DIRS=:/nowhere:" + dir + "/more"}
	for want, got := range map[string]string{"kitty": "kitty", "foot": "foot", "screen": "screen"} {
		if term := termFor(env, want); term != got {
			t.Errorf("%q is %q, want %q", want, term, got)
		}
	}
	for _, bad := range []string{"", "../kitty", "k/../kitty", ".", "..", "k\nitty", "none-such"} {
		if term := termFor(env, bad); term == bad && bad != "none-such" {
			t.Errorf("%q passed", bad)
		}
	}
}

// TestAHostWithoutTerminals hides those that there are from the supervisor.
func TestAHostWithoutTerminals(t *testing.T) {
	t.Parallel()
	hide := "mount -t tmpfs none /dev/pts && mount --bind /dev/null /dev/ptmx && exec \"$0\" \"$@\""
	unshare := []string{"unshare", "-m", "sh", "-c", hide}
	if os.Getuid() != 0 {
		unshare = slices.Insert(unshare, 1, "-r")
	}
	if out, err := exec.Command(unshare[0], append(unshare[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("no mount namespace is to be had here: %v: %s", err, out)
	}
	j := newBench(t).make(sh("echo ran"), onTerminal, withStdin)
	j.launch.Self = append(unshare, j.self)
	j.begin()
	m := j.end()
	if m.State != manifest.Failed || m.ExitCode != nil || m.Terminal || m.Steps[0].Started != nil || j.text(0) != "" {
		t.Errorf("%s, %+v, log %q", m.State, m.Steps, j.text(0))
	}
	if !strings.Contains(m.Reason, "unable to give the job a terminal: ") || !strings.Contains(m.Reason, "run -T goes without") {
		t.Errorf("reason is %q", m.Reason)
	}
}

func TestATerminalThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	s := &supervisor{job: &manifest.Job{Terminal: &manifest.Terminal{}}, record: &manifest.Manifest{Terminal: true}, board: newBoard(api.JobInfo{})}
	no := errors.New("no")
	s.giveTerminal(func(*manifest.Terminal) (*terminal, error) { return nil, no })
	if s.noTerm != no || s.term != nil || s.record.Terminal || len(s.board.read().info.Warnings) != 0 {
		t.Errorf("got %+v", s)
	}
}

func TestACommandThatIsNotThereSaysSoOnTheTerminal(t *testing.T) {
	t.Parallel()
	j, m := newBench(t).run(argv("no-such-tool-here"), onTerminal)
	wantExit(t, m, manifest.Failed, 127)
	if !bytes.Equal([]byte(j.text(api.Stdout)), []byte("cyclops: no-such-tool-here: command not found\r\n")) {
		t.Errorf("log %q", j.text(0))
	}
}
