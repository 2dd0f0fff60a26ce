//go:build linux

package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// limited starts a job that has limits which this user can have enforced, or skips the test.
func limited(t *testing.T, l Limits, options ...func(*manifest.Job)) *job {
	t.Helper()
	b := newBench(t)
	if why := TryLimits(b.data, l); len(why) > 0 {
		t.Skipf("not enforced for this user: %v", why)
	}
	j := b.make(options...)
	j.launch.Limits = l
	j.begin()
	return j
}

// recorded returns what a manifest says of limits.
func recorded(t *testing.T, m *manifest.Manifest) []limitRecord {
	t.Helper()
	text, err := json.Marshal(m.Extra["limits"])
	if err != nil {
		t.Fatal(err)
	}
	var records []limitRecord
	if err := json.Unmarshal(text, &records); err != nil {
		t.Fatal(err)
	}
	return records
}

// wantReached asserts that a limit is named, for people and for programs.
func wantReached(t *testing.T, m *manifest.Manifest, key string, value int64) {
	t.Helper()
	if !strings.Contains(m.Reason, ", "+key+")") {
		t.Errorf("reason is %q", m.Reason)
	}
	if got := recorded(t, m); !slices.Contains(got, limitRecord{Key: key, Value: value, Reached: true}) {
		t.Errorf("recorded %+v", got)
	}
}

// assertNoGroups looks for control groups that a job left.
func assertNoGroups(t *testing.T, j *job) {
	t.Helper()
	own, err := ownGroups()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range own {
		if _, err := os.Stat(h.child(j.ID)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", h.child(j.ID), err)
		}
	}
	if _, err := os.Stat(j.data.Groups(j.ID)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the note of its groups is left: %v", err)
	}
}

// bomb forks without end as fast as it can, deaf to TERM.
const bomb = `trap '' TERM; echo up; bomb() { bomb | bomb & }; bomb; while :; do sleep 1000; done`

func TestAForkBombIsContained(t *testing.T) {
	t.Parallel()
	j := limited(t, Limits{Processes: 64}, sh(bomb))
	j.await("it could not fork any more", func() bool { return strings.Contains(strings.ToLower(j.text(0)), "fork") })
	if n := len(j.left()); n > 64 {
		t.Errorf("it has %d processes", n)
	}
	other, m := j.bench.run(sh("echo next"))
	wantExit(t, m, manifest.Succeeded, 0)
	if other.text(0) != "next\n" {
		t.Errorf("beside it %q ran", other.text(0))
	}
	j.cancelNow(0.05)
	m = j.end()
	if m.State != manifest.Cancelled {
		t.Errorf("%s: %s", m.State, m.Reason)
	}
	wantReached(t, m, "limits.processes", 64)
	assertNothingLeft(t, j)
	assertNoGroups(t, j)
}

// greedy takes memory until it is killed, and is alone in that: a process that asked for some beside it, as the
// other end of a pipe, would have the kernel kill the shell too, as long as what the first had is not given back.
const greedy = "(x=0123456789; while :; do x=$x$x; done)"

func TestOutOfMemoryIsCalledThat(t *testing.T) {
	t.Parallel()
	const most = 32 << 20
	j := limited(t, Limits{Memory: most}, sh(greedy+"; exit $?"))
	m := j.end()
	wantExit(t, m, manifest.Failed, 128+9)
	wantReached(t, m, "limits.memory", most)
	if !strings.Contains(m.Reason, "it ran out of the memory that a job may use on this host (32.0 MiB, limits.memory)") {
		t.Errorf("reason is %q", m.Reason)
	}
	assertNoGroups(t, j)
}

func TestAStepThatIsKilledForItsMemory(t *testing.T) {
	t.Parallel()
	m := limited(t, Limits{Memory: 32 << 20}, sh("x=0123456789; while :; do x=$x$x; done")).end()
	if m.State != manifest.Failed || m.Signal != "KILL" || strings.Contains(m.Reason, "nobody asked for") {
		t.Errorf("%s by %q: %s", m.State, m.Signal, m.Reason)
	}
	wantReached(t, m, "limits.memory", 32<<20)
}

func TestWhatSucceedsInSpiteOfALimitSucceeds(t *testing.T) {
	t.Parallel()
	j := limited(t, Limits{Memory: 32 << 20}, sh(greedy+"; true"))
	m := j.end()
	wantExit(t, m, manifest.Succeeded, 0)
	if got := recorded(t, m); len(got) != 1 || !got[0].Reached || m.Reason != "" {
		t.Errorf("recorded %+v, reason %q", got, m.Reason)
	}
	if last := j.states[len(j.states)-1]; len(last.Warnings) != 1 || !strings.Contains(last.Warnings[0], "limits.memory") {
		t.Errorf("people are told %q", last.Warnings)
	}
}

func TestMemoryOfAnEarlierJobIsNotThisOnes(t *testing.T) {
	t.Parallel()
	m := limited(t, Limits{Memory: 64 << 20}, sh("kill -KILL $$")).end()
	if m.Signal != "KILL" || strings.Contains(m.Reason, "ran out of the memory") || recorded(t, m) != nil {
		t.Errorf("%s by %q: %s", m.State, m.Signal, m.Reason)
	}
}

func withLog(most int64, options ...func(*manifest.Job)) func(*testing.T) (*job, *manifest.Manifest) {
	return func(t *testing.T) (*job, *manifest.Manifest) {
		j := newBench(t).make(options...)
		j.launch.Limits.Log = most
		j.begin()
		return j, j.end()
	}
}

func TestALogOverItsLimitEndsTheJob(t *testing.T) {
	t.Parallel()
	j, m := withLog(100_000, sh("exec yes 0123456789"))(t)
	if m.State != manifest.Failed || m.Signal != "TERM" {
		t.Errorf("%s by %q", m.State, m.Signal)
	}
	wantReached(t, m, "limits.log", 100_000)
	if text := j.text(0); len(text) != 100_000 || text != strings.Repeat("0123456789\n", 10_000)[:100_000] {
		t.Errorf("the log has %d bytes, or others than were written", len(text))
	}
	if a := artifact(m, j.ID+".log"); a == nil || a.Size != 100_000 {
		t.Errorf("the log is listed as %+v", a)
	}
}

func TestALogOverItsLimitOfADeafJob(t *testing.T) {
	t.Parallel()
	j, m := withLog(1000, sh("trap '' TERM; while :; do echo more; done"), func(j *manifest.Job) { j.GraceSecs = 0.1 })(t)
	if m.State != manifest.Failed || m.Signal != "KILL" || strings.Contains(m.Reason, "nobody asked for") || len(j.text(0)) != 1000 {
		t.Errorf("%s by %q: %s; log of %d", m.State, m.Signal, m.Reason, len(j.text(0)))
	}
	wantReached(t, m, "limits.log", 1000)
}

func TestALogOverItsLimitOfAJobThatEnds(t *testing.T) {
	t.Parallel()
	j, m := withLog(1000, sh("head -c 1001 /dev/zero"))(t)
	wantReached(t, m, "limits.log", 1000)
	if m.State != manifest.Failed || len(j.text(0)) != 1000 {
		t.Errorf("%s; log of %d", m.State, len(j.text(0)))
	}
	j, m = withLog(1000, sh("head -c 1000 /dev/zero"))(t)
	wantExit(t, m, manifest.Succeeded, 0)
	if m.Extra["limits"] != nil || len(j.text(0)) != 1000 {
		t.Errorf("%+v; log of %d", m.Extra, len(j.text(0)))
	}
}

func TestOutputsOverTheLimitStay(t *testing.T) {
	t.Parallel()
	j := newBench(t).make(sh("echo small > a.rpt; head -c 5000 /dev/zero > b.bin"), func(j *manifest.Job) { j.Outputs.Fetch = []string{"*"} })
	j.launch.Limits.Output = 1000
	j.begin()
	m := j.end()
	wantExit(t, m, manifest.Succeeded, 0)
	wantReached(t, m, "limits.output", 1000)
	if a, b := artifact(m, "a.rpt"), artifact(m, "b.bin"); a == nil || a.Volatile || b == nil || !b.Volatile || b.Digest == "" {
		t.Errorf("artifacts %+v", m.Artifacts)
	}
	if !strings.Contains(m.Reason, "outputs of 4.9 KiB stay in the workspace") {
		t.Errorf("reason is %q", m.Reason)
	}
}

// TestWhatErasedItsMarkIsFoundByItsGroup: the supervisor, whose descendants all are, is gone.
func TestWhatErasedItsMarkIsFoundByItsGroup(t *testing.T) {
	t.Parallel()
	j := limited(t, Limits{Processes: 100}, named(background+"echo all; exec sleep 1000"))
	j.await("all processes were up", func() bool { return ups(3)(j)() && strings.Contains(j.text(0), "all\n") })
	if err := unix.Kill(j.process.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := j.process.Wait(context.Background()); err == nil {
		t.Fatal("the supervisor survived KILL")
	}
	if _, err := KillMarked(t.Context(), j.data, j.ID); err != nil {
		t.Error(err)
	}
	assertNothingLeft(t, j)
	assertNoGroups(t, j)
}

func TestANoteOfGroupsIsNotTrusted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.Mkdir(victim, 0o700); err != nil {
		t.Fatal(err)
	}
	note := b.data.Groups(manifest.NewID())
	if err := os.WriteFile(note, []byte(victim+"\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !killCgroup(note) {
		t.Error("the note stays")
	}
	if _, err := os.Stat(victim); err != nil {
		t.Error(err)
	}
}

func TestHierarchiesAreFound(t *testing.T) {
	t.Parallel()
	const (
		v1     = "31 30 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n34 30 0:31 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n38 30 0:35 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
		hybrid = v1 + "40 30 0:37 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
		v2     = "30 22 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"
		inside = "30 22 0:27 /box/7 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
		both   = "34 30 0:31 / /cg/all rw - cgroup cgroup rw,pids,memory\n"
	)
	for _, c := range []struct{ name, mounts, own, want string }{
		{"version 1", v1, "8:pids:/a\n4:memory:/b/c\n1:cpu:/\n", "/sys/fs/cgroup/pids/a[pids] /sys/fs/cgroup/memory/b/c[memory]"},
		{"both", hybrid, "8:pids:/\n0::/x\n", "/sys/fs/cgroup/pids[pids] /sys/fs/cgroup/unified/x[pids memory]2"},
		{"version 2", v2, "0::/user.slice/u.service\n", "/sys/fs/cgroup/user.slice/u.service[pids memory]2"},
		{"a service that left its group to be divided", v2, "0::/u.service/executor\n", "/sys/fs/cgroup/u.service[pids memory]2"},
		{"in a container", inside, "0::/box/7/app\n", "/sys/fs/cgroup/app[pids memory]2"},
		{"out of sight", inside, "0::/box/77\n", ""},
		{"one hierarchy for two", both, "3:pids,memory:/\n", "/cg/all[pids memory]"},
		{"none", "", "0::/\n", ""},
		{"rubbish", v2, "x\n", ""},
	} {
		var got []string
		for _, h := range findGroups(c.mounts, c.own) {
			text := h.dir + fmt.Sprint(h.controllers)
			if h.unified {
				text += "2"
			}
			got = append(got, text)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestNumbersOfControllers(t *testing.T) {
	t.Parallel()
	const events = "low 0\nmax 3\noom 2\noom_kill 1\n"
	for name, want := range map[string]int64{"max": 3, "oom": 2, "oom_kill": 1} {
		if n, ok := numberBehind(events, name); !ok || n != want {
			t.Errorf("%s is %d, %v", name, n, ok)
		}
	}
	if n, ok := numberBehind("17\n", ""); !ok || n != 17 {
		t.Errorf("the only number is %d, %v", n, ok)
	}
	for _, text := range []string{"", "oom\n", "oom x\n", "ooms 3\n"} {
		if n, ok := numberBehind(text, "oom"); ok {
			t.Errorf("%q says %d", text, n)
		}
	}
}
