//go:build linux

package collect_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"pgregory.net/rapid"

	"github.com/cyclops-fpga/cyclops/executor/collect"
	"github.com/cyclops-fpga/cyclops/executor/layout"
)

var parts = rapid.SampledFrom([]string{"a", "b", "x.bin", "y.rpt"})

var globParts = rapid.SampledFrom([]string{"a", "b", "*", "**", "*.bin", "{a,b}", "?", "{a/b,x.bin}"})

// genGlob turns some components of some path into patterns.
func genGlob(t *rapid.T, paths []string) string {
	glob := strings.Split(rapid.SampledFrom(paths).Draw(t, "like"), "/")
	for i := range glob {
		if rapid.Bool().Draw(t, "pattern") {
			glob[i] = globParts.Draw(t, "part")
		}
	}
	return strings.Join(glob, "/")
}

// The walk leaves out directories in which nothing can match. It must find what a match of every path finds.
func TestTheWalkMissesNothing(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			t.Fatal(err)
		}
		req := collect.Request{Data: layout.Data(dir), Job: id, Workspace: "w", Start: time.Unix(1, 0), Succeeded: true}
		os.MkdirAll(req.Data.Workspace("w"), 0o755)
		os.MkdirAll(req.Data.Job(id), 0o755)
		var paths []string
		for range rapid.IntRange(0, 12).Draw(t, "files") {
			p := strings.Join(rapid.SliceOfN(parts, 1, 4).Draw(t, "path"), "/")
			full := filepath.Join(req.Data.Workspace("w"), p)
			if os.MkdirAll(filepath.Dir(full), 0o755) == nil && os.WriteFile(full, nil, 0o644) == nil {
				paths = append(paths, p)
			}
		}
		glob := genGlob(t, append(paths, "a/b"))
		req.Outputs.Fetch = []string{glob}
		res, err := collect.Collect(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, a := range res.Artifacts {
			got[a.Name] = true
		}
		for _, p := range paths {
			want := false
			for q := p; q != "."; q = filepath.Dir(q) {
				want = want || doublestar.MatchUnvalidated(glob, q)
			}
			if got[p] != want {
				t.Fatalf("%q matches %q: %v, collected: %v", glob, p, want, got[p])
			}
		}
	})
}

// unprivileged runs the test again as a user whom file modes bind.
func unprivileged(t *testing.T) (again bool) {
	t.Helper()
	if os.Getuid() != 0 {
		return true
	}
	dir, err := os.MkdirTemp("", "cyclops-collect-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = []string{"TMPDIR=" + dir}
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
	return false
}

func TestClosedOutputs(t *testing.T) {
	t.Parallel()
	if !unprivileged(t) {
		return
	}
	r := newRun(t, nil)
	r.write("none", "1")
	r.write("closed/f", "2")
	os.Chmod(filepath.Join(r.ws, "none"), 0)
	os.Chmod(filepath.Join(r.ws, "closed"), 0)
	res := r.collect()
	expect(t, "artifacts", names(res.Artifacts), "closed/f fetch", "none fetch")
	os.Chmod(filepath.Join(r.ws, "closed"), 0o700) // for the clean-up
	if res.Artifacts[1].Mode != 0 {
		t.Errorf("mode %o", res.Artifacts[1].Mode)
	}
}

func TestAFullDiskCostsOnlyTheCopies(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small disk takes root")
	}
	r := newRun(t, nil)
	job := r.Data.Job(id)
	if err := syscall.Mount("cyclops", job, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("unable to mount a small disk: ", err)
	}
	defer syscall.Unmount(job, syscall.MNT_DETACH)
	r.write("a.rpt", "small")
	r.write("b.bin", strings.Repeat("x", 200_000))
	r.write("c", "small")
	res := r.collect()
	if got := names(res.Artifacts); len(got) != 3 || got[0] != "a.rpt fetch" || got[1] != "b.bin volatile" || res.Problem == "" {
		t.Errorf("%q, problem %q", got, res.Problem)
	}
}
