//go:build linux

package collect_test

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/collect"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/workspace"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

const id = "aaaaaaaaaaaaaaaa"

// inputs is what the client sent: paths and contents.
type inputs map[string]string

func (in inputs) Input(path string) (snapshot.Entry, bool) {
	text, ok := in[path]
	return snapshot.Entry{Name: filepath.Base(path), Kind: snapshot.File, Size: int64(len(text)), Sum: manifest.SumOf([]byte(text))}, ok
}

func (in inputs) Untouched(string, *unix.Stat_t) bool { return false }

func (in inputs) Files(fn func(string, snapshot.Entry) bool) {
	for _, path := range slices.Sorted(maps.Keys(in)) {
		if e, _ := in.Input(path); !fn(path, e) {
			return
		}
	}
}

// run is a workspace in which old files stand and a job writes new ones.
type run struct {
	collect.Request
	t  *testing.T
	ws string
}

func newRun(t *testing.T, old map[string]string) *run {
	t.Helper()
	data := layout.Data(t.TempDir())
	ws := data.Workspace("w")
	for _, dir := range []string{ws, data.Job(id)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r := &run{t: t, ws: ws, Request: collect.Request{Data: data, Job: id, Workspace: "w", Succeeded: true}}
	for path, text := range old {
		r.write(path, text)
	}
	var err error
	if r.Start, err = workspace.Stamp(string(data)); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *run) write(path, text string) {
	r.t.Helper()
	full := filepath.Join(r.ws, path)
	os.MkdirAll(filepath.Dir(full), 0o755)
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *run) collect() collect.Result {
	r.t.Helper()
	res, err := collect.Collect(context.Background(), r.Request)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, a := range res.Artifacts {
		r.verify(a)
	}
	return res
}

// verify reads an artifact from where the manifest says it is.
func (r *run) verify(a manifest.Artifact) {
	r.t.Helper()
	path := filepath.Join(r.Data.Job(id), filepath.FromSlash(a.Path))
	if a.Kind == manifest.KindSymlink {
		if target, err := os.Readlink(path); err != nil || target != a.Target {
			r.t.Errorf("%s leads to %q, %v", a.Name, target, err)
		}
		return
	}
	data, err := os.ReadFile(path)
	if err != nil || manifest.SumOf(data).Digest() != a.Digest || int64(len(data)) != a.Size {
		r.t.Errorf("%s at %s is not what its record says: %v", a.Name, a.Path, err)
	}
}

func names(artifacts []manifest.Artifact) []string {
	var out []string
	for _, a := range artifacts {
		mark := ""
		if !a.Fresh {
			mark += " old"
		}
		if a.Fetch {
			mark += " fetch"
		}
		if a.Volatile {
			mark += " volatile"
		}
		out = append(out, a.Name+mark)
	}
	return out
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestUndeclaredOutputs(t *testing.T) {
	t.Parallel()
	r := newRun(t, map[string]string{"top.v": "in", "same.v": "same", "changed.v": "in", "last-week.bin": "old"})
	r.Inputs = inputs{"top.v": "in", "same.v": "same", "changed.v": "in"}
	r.Outputs = manifest.Outputs{Exclude: []string{"*.tmp", "/scratch/", "!keep.tmp", "# comment"}, Limit: 22}
	r.write("same.v", "same") // written again, with what the client has
	r.write("changed.v", "by the job")
	r.write("build/top.bin", "bits")
	r.write("build/time.rpt", "a report")
	r.write("build/big.o", strings.Repeat("x", 30))
	r.write("a.tmp", "")
	r.write("build/keep.tmp", "")
	r.write("scratch/deep/f", "")
	r.write(".git/HEAD", "")
	os.Symlink("build/top.bin", filepath.Join(r.ws, "latest"))
	res := r.collect()
	expect(t, "artifacts", names(res.Artifacts), "build/time.rpt fetch", "build/top.bin fetch", "build/keep.tmp fetch",
		"changed.v fetch", "latest fetch", "build/big.o volatile")
	if len(res.Missing)+len(res.Stale)+len(res.Refused) > 0 || res.Problem != "" {
		t.Errorf("%+v", res)
	}
}

func TestDeclaredOutputs(t *testing.T) {
	t.Parallel()
	old := map[string]string{"build/old.bin": "old", "src/a.v": "in", "docs/a.txt": "in"}
	outputs := manifest.Outputs{
		Fetch:   []string{"build/*.bin", "none/*.x", "./reports", "docs/*.txt"},
		Keep:    []string{"build/**"},
		Exclude: []string{"*.o"},
	}
	for name, c := range map[string]struct {
		succeeded bool
		fresh     bool
		artifacts []string
		stale     []string
	}{
		"succeeded":           {true, true, []string{"reports/deep/time.rpt fetch", "build/new.bin fetch", "build/old.bin old fetch", "build/x.json"}, []string{"docs/*.txt"}},
		"failed":              {false, true, []string{"reports/deep/time.rpt fetch", "build/new.bin fetch", "build/x.json"}, []string{"docs/*.txt"}},
		"failed, all is old":  {false, false, nil, []string{"build/*.bin", "docs/*.txt", "build/**"}},
		"succeeded, up to it": {true, false, []string{"build/old.bin old fetch"}, []string{"build/*.bin", "docs/*.txt", "build/**"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t, old)
			r.Outputs, r.Succeeded, r.Inputs = outputs, c.succeeded, inputs{"src/a.v": "in", "docs/a.txt": "in"}
			missing := []string{"none/*.x", "./reports"}
			if c.fresh {
				missing = missing[:1]
				r.write("build/new.bin", "new")
				r.write("build/x.json", "{}")
				r.write("build/x.o", "")
				r.write("reports/deep/time.rpt", "")
				r.write("other", "")
			}
			res := r.collect()
			slices.Sort(c.artifacts)
			got := names(res.Artifacts)
			slices.Sort(got)
			expect(t, "artifacts", got, c.artifacts...)
			expect(t, "missing", res.Missing, missing...)
			var stale []string
			for _, s := range res.Stale {
				stale = append(stale, s.Pattern)
			}
			expect(t, "stale", stale, c.stale...)
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	r := newRun(t, nil)
	r.write("setuid", "")
	os.Chmod(filepath.Join(r.ws, "setuid"), 0o755|os.ModeSetuid)
	syscall.Mkfifo(filepath.Join(r.ws, "pipe"), 0o644)
	r.write("bad\xff", "")
	os.Symlink("/etc/passwd", filepath.Join(r.ws, "absolute"))
	os.Mkdir(filepath.Join(r.ws, "d"), 0o755)
	os.Symlink("../../outside", filepath.Join(r.ws, "d/out"))
	os.Symlink("../fine", filepath.Join(r.ws, "d/in"))
	r.write("fine", "")
	res := r.collect()
	expect(t, "artifacts", names(res.Artifacts), "fine fetch", "d/in fetch")
	var refused []string
	for _, f := range res.Refused {
		refused = append(refused, f.Path)
	}
	expect(t, "refused", refused, "absolute", "bad\uFFFD", "d/out", "pipe", "setuid")
}

func TestNothingIsReadThroughASymlink(t *testing.T) {
	t.Parallel()
	secret := t.TempDir()
	os.WriteFile(filepath.Join(secret, "a.bin"), []byte("secret"), 0o644)
	r := newRun(t, nil)
	os.Symlink(secret, filepath.Join(r.ws, "build"))
	r.Outputs.Fetch = []string{"build/*.bin", "["}
	res := r.collect()
	if len(res.Artifacts) > 0 || len(res.Refused) != 2 {
		t.Errorf("%+v", res)
	}
	expect(t, "missing", res.Missing, "build/*.bin")
}

// besideHelper holds a file open for writing as a job beside this one does, until its input ends.
func besideHelper(t *testing.T, job, path string) (stop func()) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `exec 3>>"$0"; echo open; cat >/dev/null`, path)
	cmd.Env = append(os.Environ(), "CYCLOPS_JOB="+job)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		_, err = out.Read(make([]byte, 5))
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() { in.Close(); cmd.Wait() }
}

func TestWhatOtherJobsWriteIsNotOurs(t *testing.T) {
	t.Parallel()
	r := newRun(t, map[string]string{"old": "old"})
	r.Concurrent = true
	r.write("a", "made")
	r.write("b", "half")
	stop := besideHelper(t, "bbbbbbbbbbbbbbbb", filepath.Join(r.ws, "b"))
	expect(t, "while another job writes b", names(r.collect().Artifacts), "a fetch")
	stop()
	expect(t, "when it has ended", names(r.collect().Artifacts), "a fetch", "b fetch")
	stop = besideHelper(t, id, filepath.Join(r.ws, "b"))
	expect(t, "what a process of this job forgot to close", names(r.collect().Artifacts), "a fetch", "b fetch")
	stop()
	r.Outputs.Keep = []string{"a"}
	expect(t, "declared", names(r.collect().Artifacts), "a")
}

func TestBesideOtherJobsTheTimesComeBackToo(t *testing.T) {
	t.Parallel()
	r := newRun(t, nil)
	r.write("same", "bytes")
	r.Inputs = inputs{"same": "bytes"}
	expect(t, "alone", names(r.collect().Artifacts))
	r.Concurrent = true
	res := r.collect()
	expect(t, "beside others", names(res.Artifacts), "same fetch")
	if res.Artifacts[0].Changed.IsZero() {
		t.Error("it does not say when it changed")
	}
}

func TestWhatAnApplyPutThereIsNotOurs(t *testing.T) {
	t.Parallel()
	r := newRun(t, nil)
	r.Concurrent = true
	r.write("made", "")
	r.write("input", "of a job beside this one")
	r.Settled = func() (collect.Inputs, error) { return untouched{inputs{"input": "x"}}, nil }
	expect(t, "artifacts", names(r.collect().Artifacts), "made fetch")
}

// untouched are inputs to which nothing happened.
type untouched struct{ inputs }

func (u untouched) Untouched(name string, _ *unix.Stat_t) bool { _, ok := u.inputs[name]; return ok }

func TestChangedInputs(t *testing.T) {
	t.Parallel()
	r := newRun(t, map[string]string{"src/same.v": "same", "src/old.v": "not what was sent, but long ago"})
	r.Inputs = inputs{"src/same.v": "same", "src/old.v": "x", "top.xpr": "project", "back.v": "b", "gone/a.v": "a", "touched.v": "same"}
	r.write("top.xpr", "project, rewritten")
	r.write("back.v", "comes back")
	r.write("touched.v", "same")
	res := r.collect()
	expect(t, "changed, and not undeclared outputs", res.Changed, "gone/a.v")
	r.Outputs.Limit = 5
	expect(t, "changed, and too large to come back", r.collect().Changed, "back.v", "gone/a.v", "top.xpr")
	r.Outputs.Limit = 0
	r.Outputs.Fetch = []string{"back.v"}
	res = r.collect()
	expect(t, "changed", res.Changed, "gone/a.v", "top.xpr")
	expect(t, "artifacts", names(res.Artifacts), "back.v fetch", "top.xpr")
	r.Outputs.Fetch, r.Outputs.Keep = nil, []string{"*.v"}
	expect(t, "kept only", r.collect().Changed, "back.v", "gone/a.v", "top.xpr")
	r.Outputs.Fetch = []string{"back.v"}
	r.Concurrent = true
	expect(t, "beside other jobs", r.collect().Changed)
}

func TestAJobThatNeverRanHasNoOutputs(t *testing.T) {
	t.Parallel()
	r := newRun(t, map[string]string{"last-week.bin": "old"})
	r.Start, r.Succeeded = time.Time{}, false
	expect(t, "undeclared", names(r.collect().Artifacts))
	r.Outputs.Fetch = []string{"*.bin"}
	expect(t, "declared", names(r.collect().Artifacts))
}

func TestAWorkspaceThatIsGone(t *testing.T) {
	t.Parallel()
	r := newRun(t, nil)
	os.RemoveAll(r.ws)
	r.Outputs.Fetch = []string{"a"}
	res := r.collect()
	if res.Problem == "" {
		t.Error("nothing is said of it")
	}
	expect(t, "missing", res.Missing, "a")
}

func TestManyOutputs(t *testing.T) {
	t.Parallel()
	r := newRun(t, nil)
	for i := range 300 {
		r.write(filepath.Join("out", strings.Repeat("d", i%7+1), "f"+strings.Repeat("x", i%90)), strings.Repeat("y", i))
	}
	want := 0
	filepath.WalkDir(r.ws, func(_ string, d os.DirEntry, _ error) error {
		if d.Type().IsRegular() {
			want++
		}
		return nil
	})
	if res := r.collect(); len(res.Artifacts) != want {
		t.Errorf("%d artifacts of %d files", len(res.Artifacts), want)
	}
}

// A file written right behind the stamp is fresh, one right before it is not: no tie may lie.
func TestFreshnessHasNoTies(t *testing.T) {
	t.Parallel()
	for range 30 {
		r := newRun(t, map[string]string{"old": ""})
		r.write("new", "")
		expect(t, "artifacts", names(r.collect().Artifacts), "new fetch")
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	r := newRun(t, nil)
	r.write("a", "")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := collect.Collect(ctx, r.Request); err == nil {
		t.Error("it went on")
	}
}

// spoiler takes the copies away once some are made, so that they cannot be synced.
type spoiler struct {
	inputs
	dir string
}

func (s spoiler) Input(path string) (snapshot.Entry, bool) {
	if path == "last" {
		os.RemoveAll(filepath.Dir(s.dir))
	}
	return s.inputs.Input(path)
}

// The manifest must not vouch for copies that a loss of power could take.
func TestCopiesThatCannotBeSyncedAreNotVouchedFor(t *testing.T) {
	t.Parallel()
	r := newRun(t, nil)
	r.write("a.rpt", "some text")
	r.write("last", "the last one, by its kind")
	r.Inputs = spoiler{inputs{}, r.Data.Artifacts(id)}
	res := r.collect() // reads each where it is said to be
	if len(res.Artifacts) != 2 || !strings.Contains(res.Problem, "durable") {
		t.Fatalf("%+v, problem %q", res.Artifacts, res.Problem)
	}
	for _, a := range res.Artifacts {
		if !a.Volatile || a.Fetch || !a.Fresh {
			t.Errorf("%+v", a)
		}
	}
}

func TestTimesAndModesAreRecorded(t *testing.T) {
	t.Parallel()
	r := newRun(t, nil)
	r.write("tool", "#!")
	at := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	os.Chmod(filepath.Join(r.ws, "tool"), 0o751)
	os.Chtimes(filepath.Join(r.ws, "tool"), at, at)
	a := r.collect().Artifacts[0]
	if a.Mode != 0o751 || !a.Modified.Equal(at) || !a.Fresh {
		t.Errorf("%+v", a)
	}
}

func TestRunning(t *testing.T) {
	t.Parallel()
	r := newRun(t, map[string]string{"old.log": "old", "d/old.log": "old"})
	for path, text := range map[string]string{"a.log": "1", "d/deep/b.log": "22", "d/c.txt": "", "in.log": "sent", "locked/x.log": ""} {
		r.write(path, text)
	}
	os.Symlink("a.log", filepath.Join(r.ws, "link.log"))
	os.Symlink("/etc", filepath.Join(r.ws, "d", "etc"))
	syscall.Mkfifo(filepath.Join(r.ws, "pipe.log"), 0o644)
	os.WriteFile(filepath.Join(r.ws, "bad\xff.log"), nil, 0o644)
	locked := filepath.Join(r.ws, "locked")
	os.Chmod(locked, 0)
	t.Cleanup(func() { os.Chmod(locked, 0o755) })
	list, err := collect.Running(t.Context(), r.Data, "w", []string{"**/*.log"}, r.Start, untouched{inputs{"in.log": "sent"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range list {
		got = append(got, f.Name)
		if f.Modified.IsZero() || f.Mode != 0o644 || f.Name == "d/deep/b.log" && f.Size != 2 {
			t.Errorf("%+v", f)
		}
	}
	want := []string{"a.log", "d/deep/b.log"}
	if os.Getuid() == 0 {
		want = append(want, "locked/x.log") // nothing is closed to root
	}
	expect(t, "files", got, want...)
	if info, _ := os.Stat(locked); info.Mode().Perm() != 0 {
		t.Error("a directory that the job closed was opened")
	}
	for _, globs := range [][]string{nil, {"["}, {""}} {
		if list, err := collect.Running(t.Context(), r.Data, "w", globs, r.Start, nil); err == nil {
			t.Errorf("%q: %v", globs, list)
		}
	}
	if list, err := collect.Running(t.Context(), r.Data, "none", []string{"*"}, r.Start, nil); err != nil || len(list) > 0 {
		t.Errorf("a workspace that is not there yet: %v, %v", list, err)
	}
}

// A clock that was set back gives what the job writes the times of what was there before.
func TestAClockThatWasSetBackCostsNoOutput(t *testing.T) {
	t.Parallel()
	r := newRun(t, map[string]string{"old.rpt": "old"})
	r.write("new.rpt", "new")
	r.Start = r.Start.Add(time.Hour)
	if res := r.collect(); len(res.Artifacts) != 0 || res.Problem != "" {
		t.Errorf("without a step of the clock: %q, %q", names(res.Artifacts), res.Problem)
	}
	r.Back = 2 * time.Hour
	res := r.collect()
	expect(t, "undeclared", names(res.Artifacts), "new.rpt old", "old.rpt old")
	if !strings.Contains(res.Problem, "set back by 2h0m0s") {
		t.Errorf("the problem is %q", res.Problem)
	}
	r.Outputs, r.Succeeded = manifest.Outputs{Fetch: []string{"new.*"}}, false
	res = r.collect()
	expect(t, "declared", names(res.Artifacts), "new.rpt old")
	if len(res.Stale) != 1 {
		t.Errorf("stale: %+v", res.Stale)
	}
}
