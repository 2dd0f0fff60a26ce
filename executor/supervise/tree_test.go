//go:build linux

package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// background starts processes that are hard to find and hard to kill, and says when all are there:
// one in a session of its own, one whose parent is gone, one without the job's mark, all deaf to TERM.
const background = `
trap '' TERM
setsid sh -c 'trap "" TERM HUP; echo up; while :; do sleep 1000; done' &
( ( setsid sh -c 'trap "" TERM HUP; echo up; while :; do sleep 1000; done' & ) & )
env -u CYCLOPS_JOB setsid sh -c 'trap "" TERM HUP; echo up; while :; do sleep 1000; done' &
`

const stubborn = background + "while :; do sleep 1000; done"

const nobody = 65534

func ups(n int) func(*job) func() bool {
	return func(j *job) func() bool {
		return func() bool { return strings.Count(j.text(0), "up\n") >= n }
	}
}

// assertNothingLeft looks for a job's processes by their mark and by their command lines.
func assertNothingLeft(t *testing.T, j *job) {
	t.Helper()
	if left := j.left(); len(left) > 0 {
		t.Errorf("marked processes %v are left", left)
	}
	if lines := commandsWith(t, j.ID); len(lines) > 0 {
		t.Errorf("processes are left: %v", lines)
	}
}

// commandsWith returns the command lines that hold text.
func commandsWith(t *testing.T, text string) []string {
	t.Helper()
	var found []string
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		if line, err := os.ReadFile(p); err == nil && strings.Contains(string(line), text) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// named puts a job's id into the command lines of a script's processes, so that even those
// that dropped the mark can be found.
func named(text string) func(*manifest.Job) {
	return func(j *manifest.Job) {
		j.Steps = []manifest.Step{{Run: strings.ReplaceAll(text, "echo up", "echo up; : "+j.ID)}}
	}
}

func TestCancelKillsTheWholeTree(t *testing.T) {
	t.Parallel()
	j := newBench(t).start(named(stubborn))
	j.await("all processes were up", ups(3)(j))
	if len(commandsWith(t, j.ID)) < 3 {
		t.Fatal("the test cannot see the processes it is about")
	}
	begun := time.Now()
	j.cancelNow(0.2)
	m := j.end()
	if m.State != manifest.Cancelled || m.Signal != "KILL" || m.Reason != "a test asked" {
		t.Errorf("%s by signal %q, reason %q", m.State, m.Signal, m.Reason)
	}
	if took := time.Since(begun); took < 200*time.Millisecond {
		t.Errorf("killed after %v, before the grace was over", took)
	}
	assertNothingLeft(t, j)
}

// TestCancelWithoutACgroup runs the supervisor as a user who may not divide control groups.
func TestCancelWithoutACgroup(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("the other tests run as such a user already")
	}
	j := newBench(t).make(named(stubborn))
	self := filepath.Join(t.TempDir(), "self")
	binary, err := os.ReadFile(j.self)
	if err = errors.Join(err, os.Chmod(filepath.Dir(filepath.Dir(self)), 0o711)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(self, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(string(j.data), func(path string, _ os.DirEntry, _ error) error { return os.Chown(path, nobody, nobody) })
	if err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprint(nobody)
	j.launch.Self = []string{"/usr/bin/setpriv", "--reuid", id, "--regid", id, "--clear-groups", self}
	j.launch.Limits = Limits{Processes: 100, Memory: 1 << 30}
	j.begin()
	j.await("all processes were up", ups(3)(j))
	if _, err := os.Stat(j.data.Groups(j.ID)); err == nil {
		t.Error("there is a control group all the same")
	}
	j.cancelNow(0.05)
	m := j.end()
	if m.State != manifest.Cancelled || m.Signal != "KILL" {
		t.Errorf("%s by signal %q, reason %q", m.State, m.Signal, m.Reason)
	}
	assertNothingLeft(t, j)
	if got := recorded(t, m); len(got) != 2 || got[0].NotEnforced == "" || got[1].NotEnforced == "" || got[0].Reached {
		t.Errorf("of limits that do not hold it says %+v", got)
	}
}

func TestTimeoutKillsTheWholeTree(t *testing.T) {
	t.Parallel()
	j := newBench(t).start(named(stubborn), func(j *manifest.Job) { j.TimeoutSecs, j.GraceSecs = 0.5, 0.1 })
	m := j.end()
	if m.State != manifest.TimedOut || !strings.Contains(m.Reason, "500ms") {
		t.Errorf("%s, reason %q", m.State, m.Reason)
	}
	assertNothingLeft(t, j)
}

func TestNothingRemainsAfterTheEnd(t *testing.T) {
	t.Parallel()
	j, m := newBench(t).run(named(background + "exit 5"))
	wantExit(t, m, manifest.Failed, 5)
	assertNothingLeft(t, j)
}

func TestWhatForksWithoutEndIsKilled(t *testing.T) {
	t.Parallel()
	j := newBench(t).make(sh("trap '' TERM; echo up; n=0; while [ $n -lt 10 ]; do sh -c 'while :; do sh -c : & wait; done' & n=$((n+1)); done; wait"))
	j.begin()
	j.await("it was up", ups(1)(j))
	j.cancelNow(0.05)
	if m := j.end(); m.State != manifest.Cancelled {
		t.Errorf("%s: %s", m.State, m.Reason)
	}
	assertNothingLeft(t, j)
}

func TestTermIsEnoughForWhoListens(t *testing.T) {
	t.Parallel()
	j := newBench(t).start(sh(`trap 'echo bye; exit 9' TERM; echo up; while :; do sleep 0.01; done`))
	j.await("it was up", ups(1)(j))
	begun := time.Now()
	j.cancelNow(20)
	m := j.end()
	wantExit(t, m, manifest.Cancelled, 9)
	if !strings.Contains(j.text(0), "bye") || time.Since(begun) > 10*time.Second {
		t.Errorf("log %q after %v", j.text(0), time.Since(begun))
	}
}

func TestASecondCancelIsQuicker(t *testing.T) {
	t.Parallel()
	j := newBench(t).start(sh(`trap '' TERM; echo up; while :; do sleep 0.01; done`))
	j.await("it was up", ups(1)(j))
	j.cancelNow(1000)
	j.cancelNow(0.01)
	if m := j.end(); m.State != manifest.Cancelled || m.Signal != "KILL" {
		t.Errorf("%s by %q", m.State, m.Signal)
	}
}

func TestAStoppedProcessIsEnded(t *testing.T) {
	t.Parallel()
	j := newBench(t).start(sh(`echo up; kill -STOP $$; exit 0`))
	j.await("it was up", ups(1)(j))
	j.cancelNow(20)
	if m := j.end(); m.State != manifest.Cancelled || m.Signal != "TERM" {
		t.Errorf("%s by %q", m.State, m.Signal)
	}
}

func TestAChildThatKeepsThePipeOpen(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	j, m := newBench(t).run(sh(`sleep 1000 & echo done`))
	wantExit(t, m, manifest.Succeeded, 0)
	if j.text(0) != "done\n" || time.Since(begun) > 20*time.Second {
		t.Errorf("log %q after %v", j.text(0), time.Since(begun))
	}
	assertNothingLeft(t, j)
}

func TestAChildMayFinishWriting(t *testing.T) {
	t.Parallel()
	j, m := newBench(t).run(sh(`(sleep 0.1; echo last) & echo first`))
	wantExit(t, m, manifest.Succeeded, 0)
	if j.text(0) != "first\nlast\n" {
		t.Errorf("log %q", j.text(0))
	}
}

func TestSignalsReachTheJob(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"INT", "TERM", "HUP", "QUIT", "USR1", "KILL"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newBench(t).start(sh(`echo up; exec sleep 1000`))
			j.await("it was up", ups(1)(j))
			if err := j.w.JSON(api.FrameSignal, api.Signal{Name: name}); err != nil {
				t.Fatal(err)
			}
			m := j.end()
			if m.State != manifest.Failed || m.Signal != name || m.ExitCode != nil {
				t.Errorf("%s by %q, exit code %v", m.State, m.Signal, m.ExitCode)
			}
		})
	}
}

func TestTheSupervisorEndsItsJobWhenTheHostGoesDown(t *testing.T) {
	t.Parallel()
	j := newBench(t).start(sh(`echo up; exec sleep 1000`))
	j.await("it was up", ups(1)(j))
	if err := unix.Kill(j.process.PID, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if m := j.end(); m.State != manifest.Cancelled || m.Signal != "TERM" || !strings.Contains(m.Reason, "host") {
		t.Errorf("%s by %q: %s", m.State, m.Signal, m.Reason)
	}
	assertNothingLeft(t, j)
}

func TestALostJobsProcessesAreFound(t *testing.T) {
	t.Parallel()
	j := newBench(t).start(sh(`echo more >&2; setsid sleep 1000 & echo up; exec sleep 1000`))
	j.await("it was up", ups(1)(j))
	if err := unix.Kill(j.process.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := j.process.Wait(context.Background()); err == nil {
		t.Fatal("the supervisor survived KILL")
	}
	n, err := KillMarked(t.Context(), j.data, j.ID)
	if err != nil || n < 1 {
		t.Errorf("%d killed: %v", n, err)
	}
	assertNothingLeft(t, j)
	started := time.Now().UTC()
	m, err := RecordLost(j.launch, &started, "its supervisor was killed", false)
	if err != nil || m.State != manifest.Lost || len(m.Artifacts) != 2 || !strings.Contains(j.text(0), "up\n") {
		t.Errorf("manifest %+v: %v", m, err)
	}
}

func TestUsageCountsTheWholeTree(t *testing.T) {
	t.Parallel()
	_, m := newBench(t).run(sh(`(i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done) & wait`))
	if m.Usage.CPUSeconds <= 0.01 || m.Usage.PeakMemoryBytes < 100<<10 || m.Usage.WallSeconds <= 0 {
		t.Errorf("usage is %+v", m.Usage)
	}
}

func TestDescends(t *testing.T) {
	t.Parallel()
	loop := map[int]int{5: 6, 6: 5, 7: 1, 8: 7}
	for pid, want := range map[int]bool{8: true, 7: true, 5: false, 99: false} {
		if got := descends(loop, pid, 1); got != want {
			t.Error(fmt.Sprint(pid), got)
		}
	}
}
