//go:build linux

package supervise

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/environ"
	"github.com/cyclops-fpga/cyclops/executor/samepath"
	"github.com/cyclops-fpga/cyclops/manifest"
)

func needPlaces(t testing.TB) {
	t.Helper()
	if why := samepath.Probe(t.Context(), []string{"cyclopsd"}, t.TempDir()); why != "" {
		t.Skip(why)
	}
}

// asEveryone runs the test as it is and, where that is root, again as a user with no rights.
func asEveryone(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	needPlaces(t)
	test(t)
	if os.Getuid() != 0 {
		return
	}
	dir, err := os.MkdirTemp("", "cyclops-place-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env, cmd.Dir = []string{"TMPDIR=" + dir, "PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}, dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}

// seenAt asks that the job sees its workspace at root.
func seenAt(root string) func(*manifest.Job) {
	return func(j *manifest.Job) { j.SamePath = &manifest.SamePath{Root: root} }
}

func required(j *manifest.Job) { j.SamePath.Require = true }

// tree returns a path of the client that this host can make.
func (b *bench) tree() string {
	b.t.Helper()
	dir, err := filepath.EvalSymlinks(b.t.TempDir())
	if err != nil {
		b.t.Fatal(err)
	}
	return filepath.Join(dir, "alice", "proj")
}

func TestAJobSeesTheClientsPath(t *testing.T) {
	t.Parallel()
	asEveryone(t, func(t *testing.T) {
		b := newBench(t)
		root := b.tree()
		j, m := b.run(seenAt(root), func(j *manifest.Job) {
			j.Dir = "sub"
			j.Steps = []manifest.Step{{Run: `pwd -P; echo "$PWD"; echo made >made; env | grep -c GOGC`}, {Argv: []string{"sh", "-c", "pwd; cat $PWD/made; exit 3"}}}
		})
		_, first := b.run(seenAt(root), func(j *manifest.Job) { j.Dir = "sub"; j.Steps = []manifest.Step{{Run: "pwd -P; echo made >made"}} })
		wantExit(t, first, manifest.Succeeded, 0)
		wantExit(t, m, manifest.Failed, 1) // grep
		if want := root + "/sub\n" + root + "/sub\n0\n"; j.text(0) != want || m.Workspace.Seen != root || m.Workspace.NotSeen != "" {
			t.Errorf("log %q, want %q; %+v", j.text(0), want, m.Workspace)
		}
		if !slices.ContainsFunc(first.Artifacts, func(a manifest.Artifact) bool { return a.Name == "sub/made" }) {
			t.Errorf("what was written there is no artifact: %+v", first.Artifacts)
		}
		if _, err := os.Lstat(filepath.Dir(root)); !os.IsNotExist(err) {
			t.Errorf("the mount point stays: %v", err)
		}
	})
}

func TestStopsReachAJobInItsPlace(t *testing.T) {
	t.Parallel()
	asEveryone(t, func(t *testing.T) {
		b := newBench(t)
		j := b.start(seenAt(b.tree()), sh(`trap 'echo got it; exit 9' TERM; setsid sleep 1000 & (setsid sh -c 'trap "" TERM; sleep 1000' &) ; echo up; while :; do sleep 0.05; done`))
		j.await("up", func() bool { return j.size >= 3 })
		j.cancelNow(1.5)
		m := j.end()
		if m.State != manifest.Cancelled || !strings.Contains(j.text(0), "got it\n") || m.Workspace.Seen == "" {
			t.Errorf("%s, %q, %+v", m.State, j.text(0), m.Workspace)
		}
		if left := j.left(); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
		late, m := b.run(seenAt(b.tree()), sh("sleep 1000 & sleep 1000"), func(j *manifest.Job) { j.TimeoutSecs = 0.2 })
		if m.State != manifest.TimedOut || m.Workspace.Seen == "" || len(late.left()) != 0 {
			t.Errorf("%s, %+v, %v", m.State, m.Workspace, late.left())
		}
		_, m = b.run(seenAt(b.tree()), sh("kill -USR1 $$"))
		if m.Signal != "USR1" {
			t.Errorf("signal %q", m.Signal)
		}
	})
}

func TestMarksAreSeenInAPlace(t *testing.T) {
	t.Parallel()
	asEveryone(t, func(t *testing.T) {
		b := newBench(t)
		j := b.start(seenAt(b.tree()), sh("echo up; exec sleep 1000"))
		j.await("up", func() bool { return j.size >= 3 })
		if len(j.left()) == 0 {
			t.Error("the mark is not seen")
		}
		if err := syscall.Kill(j.process.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = j.process.Wait(context.Background())
		if n, err := KillMarked(t.Context(), j.data, j.ID); n == 0 || err != nil || len(j.left()) != 0 {
			t.Errorf("killed %d, %v, left %v", n, err, j.left())
		}
		m, err := RecordLost(j.launch, nil, "a test killed it", false)
		if err != nil || m.Extra != nil {
			t.Fatal(err, m.Extra)
		}
		if _, err := os.Lstat(filepath.Dir(j.SamePath.Root)); !os.IsNotExist(err) {
			t.Errorf("the mount point stays: %v", err)
		}
		if ids := Leftovers(b.data); len(ids) != 0 {
			t.Errorf("temporary directories stay: %v", ids)
		}
	})
}

func TestCommandsOfAPlaceFailInAShellsWords(t *testing.T) {
	t.Parallel()
	asEveryone(t, func(t *testing.T) {
		b := newBench(t)
		for name, want := range map[string]string{"no-such-tool": "127 cyclops: no-such-tool: command not found\n", "./": "126 cyclops: ./: is a directory\n"} {
			j, m := b.run(seenAt(b.tree()), argv(name))
			plain, pm := b.run(argv(name))
			wantExit(t, m, manifest.Failed, map[string]int{"1": 127, "./": 126, "no-such-tool": 127}[name])
			if j.text(0) != want[4:] || plain.text(0) != j.text(0) || *pm.ExitCode != *m.ExitCode || m.Workspace.Seen == "" {
				t.Errorf("%s: %q, plain %q", name, j.text(0), plain.text(0))
			}
		}
	})
}

func TestAutoNeverFailsAndRequireSaysWhy(t *testing.T) {
	t.Parallel()
	needPlaces(t)
	b := newBench(t)
	home := filepath.Join(t.TempDir(), "users", "me")
	for what, c := range map[string]struct {
		change func(*job)
		want   string
	}{
		"home":           {func(j *job) { j.SamePath.Root = home }, "home directory"},
		"parent of home": {func(j *job) { j.SamePath.Root = filepath.Dir(home) }, "contains the home directory"},
		"data":           {func(j *job) { j.SamePath.Root = string(b.data) }, "data directory"},
		"tools":          {func(j *job) { j.SamePath.Root = filepath.Join(home, "tool") }, "directory of tools"},
		"named tools": {func(j *job) {
			j.SamePath.Root = filepath.Join(home, "xilinx")
			j.launch.Tools = []environ.Tool{{Name: "v", Setup: "source '" + home + "/xilinx/2025.1/settings64.sh'"}}
		}, "directory of tools"},
		"set-uid": {func(j *job) { j.SetUID = true }, "set-uid"},
		"board":   {func(j *job) { j.launch.Leased = map[string][]string{"board": {"1"}} }, "holds board"},
	} {
		make := func() *job {
			j := b.make(seenAt(b.tree()), sh("echo ran; pwd -P"))
			j.launch.SetEnviron([]string{"PATH=" + home + "/tool/bin:" + os.Getenv("PATH"), "HOME=" + home})
			c.change(j)
			j.rewrite()
			return j
		}
		for _, dir := range []string{"tool/bin", "xilinx/2025.1"} {
			if err := os.MkdirAll(filepath.Join(home, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(home, "xilinx/2025.1/settings64.sh"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		j := make()
		j.begin()
		m := j.end()
		wantExit(t, m, manifest.Succeeded, 0)
		if !strings.HasPrefix(j.text(0), "ran\n"+j.data.Workspace(j.Workspace.Name)[:4]) || m.Workspace.Seen != "" || !strings.Contains(m.Workspace.NotSeen, c.want) {
			t.Errorf("%s: log %q, %+v", what, j.text(0), m.Workspace)
		}
		j = make()
		required(j.Job)
		j.rewrite()
		j.begin()
		m = j.end()
		if m.State != manifest.Failed || m.ExitCode != nil || j.text(0) != "" || !strings.Contains(m.Reason, c.want) {
			t.Errorf("%s, required: %s, %q", what, m.State, m.Reason)
		}
	}
}

// A tool of the tree that the client names in its PATH is found in the workspace.
func TestAClientsPathIntoItsTree(t *testing.T) {
	t.Parallel()
	needPlaces(t)
	b := newBench(t)
	root := b.tree()
	line := "mkdir -p bin && printf '#!/bin/sh\\necho tool of the tree\\n' >bin/mytool && chmod +x bin/mytool"
	kept := func(j *manifest.Job) { j.Workspace = manifest.Workspace{Name: "w", Mode: manifest.Kept} }
	_, m := b.run(kept, seenAt(root), sh(line))
	wantExit(t, m, manifest.Succeeded, 0)
	j, m := b.run(kept, seenAt(root), argv("mytool"), func(j *manifest.Job) {
		j.SetEnv(manifest.Variable{Name: "PATH", Value: filepath.Join(root, "bin") + ":" + os.Getenv("PATH")})
	})
	wantExit(t, m, manifest.Succeeded, 0)
	if j.text(0) != "tool of the tree\n" {
		t.Errorf("%q", j.text(0))
	}
}

func TestATerminalInAPlace(t *testing.T) {
	t.Parallel()
	asEveryone(t, func(t *testing.T) {
		b := newBench(t)
		j, m := b.run(seenAt(b.tree()), sh("test -t 0 && test -t 1 && stty size; pwd -P; cat </dev/tty >/dev/null; ps -o tpgid= -p $$ >/dev/null"), func(j *manifest.Job) {
			j.Terminal = &manifest.Terminal{Term: "xterm", Rows: 33, Cols: 77}
		})
		if !strings.Contains(j.text(0), "33 77\r\n") || m.Workspace.Seen == "" || !strings.Contains(j.text(0), m.Workspace.Seen) {
			t.Errorf("log %q, %+v, %s", j.text(0), m.Workspace, m.Reason)
		}
	})
}

// A host that gives no namespaces runs the job all the same, and says why it looks as it does.
func TestAHostWithoutNamespaces(t *testing.T) {
	t.Parallel()
	if os.Getenv("NO_NAMESPACES") == "" {
		if out, err := exec.Command("unshare", "-Ur", "setpriv", "--bounding-set", "-sys_admin", "true").CombinedOutput(); err != nil {
			t.Skipf("no namespace to forbid others in: %v: %s", err, out)
		}
		script := `echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set -sys_admin "$0" "$@"`
		cmd := exec.Command("unshare", "-Ur", "sh", "-c", script, "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Args[5] = self
		cmd.Env = append(os.Environ(), "NO_NAMESPACES=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	b := newBench(t)
	root := b.tree()
	j, m := b.run(seenAt(root), func(j *manifest.Job) { j.Steps = []manifest.Step{{Run: "pwd"}, {Argv: []string{"pwd"}}} })
	wantExit(t, m, manifest.Succeeded, 0)
	where := m.Workspace.Path
	if j.text(0) != where+"\n"+where+"\n" || m.Workspace.Seen != "" || !strings.Contains(m.Workspace.NotSeen, "gives this user no namespace") {
		t.Errorf("log %q, %+v", j.text(0), m.Workspace)
	}
	if _, err := os.Lstat(filepath.Dir(root)); !os.IsNotExist(err) {
		t.Errorf("the mount point stays: %v", err)
	}
	j, m = b.run(seenAt(root), required, sh("echo ran"))
	if m.State != manifest.Failed || m.ExitCode != nil || j.text(0) != "" || !strings.Contains(m.Reason, "gives this user no namespace") {
		t.Errorf("required: %s, %q, %q", m.State, m.Reason, j.text(0))
	}
	if why := samepath.Probe(t.Context(), []string{"cyclopsd"}, t.TempDir()); !strings.Contains(why, "no namespace") {
		t.Errorf("the probe says %q", why)
	}
}

// Another step's place can fail where the first one's did not; and mounts can fail behind the clone.
func TestMountsThatFail(t *testing.T) {
	t.Parallel()
	needPlaces(t)
	b := newBench(t)
	root := b.tree()
	j, m := b.run(seenAt(root), func(j *manifest.Job) {
		// The first step takes its mount point away.
		j.Steps = []manifest.Step{{Run: "cd / && rmdir " + filepath.Dir(root) + "/* 2>/dev/null; mv " + filepath.Dir(root) + " " + filepath.Dir(root) + "2; pwd"}, {Run: "pwd -P"}}
	})
	wantExit(t, m, manifest.Succeeded, 0)
	if !strings.HasSuffix(j.text(0), m.Workspace.Path+"\n") || m.Workspace.Seen != root || !strings.Contains(m.Workspace.NotSeen, "unable to mount on") {
		t.Errorf("log %q, %+v", j.text(0), m.Workspace)
	}
}
