//go:build linux

package workspace_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/cyclops-fpga/cyclops/executor/workspace"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

var bg = context.Background()

// names are few, so that what jobs make and what clients send collides.
var names = []string{"a", "b", "c\xff\xfe", "d e", "-n", "new\nline"}

func genPath(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(names), 1, depth).Draw(t, "path"), "/")
	})
}

var genText = rapid.Custom(func(t *rapid.T) string {
	n := rapid.SampledFrom([]int{0, 1, 2, 5000}).Draw(t, "size")
	return strings.Repeat(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "text"), n)
})

var genNode = rapid.Custom(func(t *rapid.T) node {
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		return executable(genText.Draw(t, "text"))
	case 1:
		return link(rapid.SampledFrom([]string{"a", "../..", "/nowhere", "no\xffwhere"}).Draw(t, "target"))
	case 2:
		return emptyDir()
	}
	return file(genText.Draw(t, "text"))
})

// put adds a node and takes away what cannot stand beside it.
func (tr tree) put(path string, n node) {
	for p := range tr {
		if p == path || strings.HasPrefix(p, path+"/") || strings.HasPrefix(path, p+"/") {
			delete(tr, p)
		}
	}
	tr[path] = n
}

func TestATreeArrivesAsItWasSent(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	var n atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		h := newHost(t, filepath.Join(base, fmt.Sprint(n.Add(1))))
		want := tree{}
		for range rapid.IntRange(0, 12).Draw(t, "nodes") {
			want.put(genPath(3).Draw(t, "path"), genNode.Draw(t, "node"))
		}
		r := h.apply(t, want)
		if got := read(t, r.Path); !maps.Equal(got, want) {
			t.Fatalf("got %v\nwant %v", got, want)
		}
		if again := h.apply(t, want); again.Written+again.Removed > 0 {
			t.Fatalf("an unchanged workspace was written to: %+v", again)
		}
	})
}

// fuse is a context that ends when it has been asked so many times: an apply asks between all its steps.
type fuse struct {
	context.Context
	left atomic.Int64
}

func burning(steps int) *fuse {
	f := &fuse{Context: bg}
	f.left.Store(int64(steps))
	return f
}

func (f *fuse) Err() error {
	if f.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// shortOf is content that fails after so many files.
type shortOf struct {
	workspace.Content
	left atomic.Int64
}

func (c *shortOf) Open(sum manifest.Sum) (io.Reader, int64, error) {
	if c.left.Add(-1) < 0 {
		return nil, 0, io.ErrUnexpectedEOF
	}
	return c.Content.Open(sum)
}

// job does one thing that jobs do to a workspace and adds to made what is there, or of another
// type, only since. Its errors
// are those of jobs that fail.
func job(t *rapid.T, dir string, made map[string]bool) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return
	}
	defer root.Close()
	before := read(t, dir)
	path := genPath(3).Draw(t, "job path")
	switch rapid.IntRange(0, 7).Draw(t, "job does") {
	case 0:
		root.RemoveAll(path)
	case 1:
		root.MkdirAll(path, 0o755)
	case 2:
		root.Symlink("..", path)
	case 3:
		root.Chmod(path, 0)
	case 4:
		if strings.Count(path, "/") == 0 {
			syscall.Mkfifo(filepath.Join(dir, path), 0o644)
		}
	case 5:
		if root.Rename(path, "moved") == nil {
			root.Symlink("moved", path)
		}
	default:
		root.MkdirAll(filepath.Dir(path), 0o755)
		if f, err := root.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NONBLOCK, 0o644); err == nil {
			f.WriteString(genText.Draw(t, "job text"))
			f.Close()
		}
	}
	for p, n := range read(t, dir) {
		old, ok := before[p]
		if !ok || old.kind != n.kind && !(old.kind.Regular() && n.kind.Regular()) {
			made[p] = true
		}
	}
}

// Whatever clients edit, jobs do and crashes interrupt: the inputs are right, and nothing is there
// beside them that no job made.
func TestInputsAreRightWhateverHappened(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	var n atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		h := newHost(t, filepath.Join(base, fmt.Sprint(n.Add(1))))
		want, made := tree{}, map[string]bool{}
		for range rapid.IntRange(1, 8).Draw(t, "rounds") {
			for range rapid.IntRange(0, 3).Draw(t, "edits") {
				path := genPath(3).Draw(t, "path")
				if rapid.Bool().Draw(t, "delete") {
					delete(want, path)
				} else {
					want.put(path, genNode.Draw(t, "node"))
				}
			}
			for range rapid.IntRange(0, 3).Draw(t, "jobs") {
				job(t, h.data.Workspace("w"), made)
			}
			if rapid.IntRange(0, 3).Draw(t, "crash") == 0 {
				interrupt(t, h, want)
				continue
			}
			r := h.apply(t, want)
			have := read(t, r.Path)
			contains(t, have, want)
			for path, n := range have {
				if _, ok := want[path]; !ok && !made[path] && n.kind != snapshot.Dir {
					t.Fatalf("%q is neither an input nor made by a job", path)
				}
			}
		}
	})
}

// interrupt breaks an apply off somewhere, at times with the index or the stage left in a bad way.
func interrupt(t *rapid.T, h *host, want tree) {
	root := h.send(t, want)
	s := h.set(t)
	defer s.Close()
	var ctx context.Context = bg
	content := &shortOf{Content: s}
	if content.left.Store(int64(rapid.IntRange(0, 6).Draw(t, "files"))); rapid.Bool().Draw(t, "early") {
		ctx = burning(rapid.IntRange(0, 40).Draw(t, "steps"))
	}
	workspace.Apply(ctx, h.request(root, content))
	switch rapid.IntRange(0, 3).Draw(t, "loss") {
	case 0:
		os.Truncate(h.data.WorkspaceIndex("w"), 0)
	case 1:
		os.Mkdir(filepath.Join(h.data.Workspaces(), ".w.stage"), 0o700)
	}
}

// What an interrupted apply had put in place must not pass for a job's file when the client has deleted it since.
func TestLeftoversOfAnInterruptionGo(t *testing.T) {
	t.Parallel()
	h := newHost(t, t.TempDir())
	h.apply(t, tree{"a": file("1")})
	root := h.send(t, tree{"a": file("1"), "d/new1": file("1"), "d/new2": file("2"), "e/new3": link("x"), "z": file("3")})
	s := h.set(t)
	defer s.Close()
	content := &shortOf{Content: s}
	content.left.Store(2)
	if _, err := workspace.Apply(bg, h.request(root, content)); err == nil {
		t.Fatal("it was not interrupted")
	}
	if len(read(t, h.data.Workspace("w"))) < 3 {
		t.Fatal("nothing was put in place")
	}
	if r := h.apply(t, tree{"a": file("1")}); !maps.Equal(read(t, r.Path), tree{"a": file("1")}) {
		t.Errorf("got %v", read(t, r.Path))
	}
}

func TestJobsFilesStay(t *testing.T) {
	t.Parallel()
	h := newHost(t, t.TempDir())
	h.apply(t, tree{"src/a.v": file("1"), "old/b.v": file("2"), "c": file("3")})
	write(t, h, "src/a.o", "made")
	write(t, h, "old/b.o", "made")
	write(t, h, "src/a.v", "altered by the job")
	os.Remove(filepath.Join(h.data.Workspace("w"), "c"))
	r := h.apply(t, tree{"src/a.v": file("1"), "c": file("3")})
	want := tree{"src/a.v": file("1"), "src/a.o": file("made"), "old/b.o": file("made"), "c": file("3")}
	if got := read(t, r.Path); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if r.Restored != 2 || r.Removed != 1 {
		t.Errorf("restored %d and removed %d, want 2 and 1", r.Restored, r.Removed)
	}
}

func TestTypeConflictsAreDisplaced(t *testing.T) {
	t.Parallel()
	h := newHost(t, t.TempDir())
	h.apply(t, tree{"keep": file("")})
	ws := h.data.Workspace("w")
	os.MkdirAll(filepath.Join(ws, "x/deep"), 0o755)
	write(t, h, "x/deep/f", "job's")
	write(t, h, "y", "job's")
	os.Symlink("/etc", filepath.Join(ws, "z"))
	r := h.apply(t, tree{"x": file("client's"), "y/f": file("client's"), "z/passwd": file("client's")})
	contains(t, read(t, ws), tree{"x": file("client's"), "y/f": file("client's"), "z/passwd": file("client's")})
	contains(t, read(t, h.data.Displaced("job")), tree{"x/deep/f": file("job's"), "y": file("job's"), "z": link("/etc")})
	slices.Sort(r.Displaced)
	if !slices.Equal(r.Displaced, []string{"x", "y", "z"}) {
		t.Errorf("displaced %q", r.Displaced)
	}
}

func TestASymlinkIsNeverWrittenThrough(t *testing.T) {
	t.Parallel()
	h := newHost(t, t.TempDir())
	outside := t.TempDir()
	os.WriteFile(filepath.Join(outside, "f"), []byte("precious"), 0o644)
	h.apply(t, tree{"d/f": file("1"), "d/g": file("1")})
	ws := h.data.Workspace("w")
	os.RemoveAll(filepath.Join(ws, "d"))
	os.Symlink(outside, filepath.Join(ws, "d"))
	h.apply(t, tree{"d/f": file("2"), "d/new": file("2")})
	contains(t, read(t, ws), tree{"d/f": file("2"), "d/new": file("2")})
	if got := read(t, outside); !maps.Equal(got, tree{"f": file("precious")}) {
		t.Errorf("outside changed: %v", got)
	}
}

// A directory that moved behind a symlink has files with the very stats of the index.
func TestAMovedDirectoryIsNoticed(t *testing.T) {
	t.Parallel()
	h := newHost(t, t.TempDir())
	want := tree{"d/f": file("1"), "d/e/g": file("1")}
	h.apply(t, want)
	ws := h.data.Workspace("w")
	os.Rename(filepath.Join(ws, "d"), filepath.Join(ws, "moved"))
	os.Symlink("moved", filepath.Join(ws, "d"))
	h.apply(t, want)
	contains(t, read(t, ws), want)
}

func TestTheWorkspaceItselfIsReplaced(t *testing.T) {
	t.Parallel()
	want := tree{"a": file("1")}
	for name, spoil := range map[string]func(ws, elsewhere string) error{
		"deleted": func(ws, _ string) error { return os.RemoveAll(ws) },
		"file":    func(ws, _ string) error { os.RemoveAll(ws); return os.WriteFile(ws, nil, 0o644) },
		"symlink": func(ws, elsewhere string) error { os.RemoveAll(ws); return os.Symlink(elsewhere, ws) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, t.TempDir())
			h.apply(t, want)
			elsewhere := t.TempDir()
			if err := spoil(h.data.Workspace("w"), elsewhere); err != nil {
				t.Fatal(err)
			}
			if r := h.apply(t, want); !maps.Equal(read(t, r.Path), want) {
				t.Errorf("got %v", read(t, r.Path))
			}
			if got := read(t, elsewhere); len(got) > 0 {
				t.Errorf("written through the symlink: %v", got)
			}
		})
	}
}

// Without index and journal an input of old looks like a job's file: it must not stay.
func TestAWorkspaceOfUnknownOriginIsSetAside(t *testing.T) {
	t.Parallel()
	h := newHost(t, t.TempDir())
	h.apply(t, tree{"stale.v": file("1")})
	os.Remove(h.data.WorkspaceIndex("w"))
	os.Remove(h.data.WorkspaceJournal("w"))
	r := h.apply(t, tree{"a.v": file("1")})
	if got := read(t, r.Path); !maps.Equal(got, tree{"a.v": file("1")}) || r.Warning == "" {
		t.Errorf("got %v, warning %q", got, r.Warning)
	}
	contains(t, read(t, h.data.Displaced("job")), tree{"w/stale.v": file("1")})
}

// After a loss of power the index may be right about sizes and times and wrong about bytes.
func TestAnIndexOfAnotherBootIsNotBelieved(t *testing.T) {
	t.Parallel()
	h := newHost(t, t.TempDir())
	want := tree{"a": file("right"), "b": link("a")}
	h.apply(t, want)
	write(t, h, "a", "wrong")
	workspace.PretendOtherBoot(t, h.data.WorkspaceIndex("w"), h.data.Workspace("w"), "a")
	r := h.apply(t, want)
	if got := read(t, r.Path); !maps.Equal(got, want) || r.Written != 1 {
		t.Errorf("got %v after %d writes", got, r.Written)
	}
}

func TestFilesOfJobsAreAdopted(t *testing.T) {
	t.Parallel()
	h := newHost(t, t.TempDir())
	h.apply(t, tree{})
	write(t, h, "gen.v", "generated")
	path := filepath.Join(h.data.Workspace("w"), "gen.v")
	before, _ := os.Lstat(path)
	r := h.apply(t, tree{"gen.v": file("generated")})
	after, _ := os.Lstat(path)
	if r.Written != 0 || !os.SameFile(before, after) || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("an equal file was touched: %+v", r)
	}
}

// unprivileged runs the named test again as a user whom file modes bind.
func unprivileged(t *testing.T) (again bool) {
	t.Helper()
	if os.Getuid() != 0 {
		return true
	}
	dir, err := os.MkdirTemp("", "cyclops-workspace-")
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

func TestClosedFilesAndDirectories(t *testing.T) {
	t.Parallel()
	if !unprivileged(t) {
		return
	}
	h := newHost(t, t.TempDir())
	h.apply(t, tree{"ro/f": file("1"), "ro/gone": file("1"), "none/f": file("1"), "f": file("1"), "was/a/b": file("1")})
	ws := h.data.Workspace("w")
	os.Mkdir(filepath.Join(ws, "conflict"), 0o755)
	write(t, h, "conflict/x", "")
	write(t, h, "was/a/job", "")
	for path, mode := range map[string]os.FileMode{"f": 0, "ro/f": 0o400, "ro": 0o555, "none": 0, "conflict": 0o555, "was/a": 0o500, "was": 0o555} {
		if err := os.Chmod(filepath.Join(ws, path), mode); err != nil {
			t.Fatal(err)
		}
	}
	want := tree{"ro/f": file("2"), "ro/new": file("2"), "none/f": file("1"), "none/g": link("f"), "f": file("1"), "conflict": file("2"), "was/a": file("2")}
	h.apply(t, want)
	if got := read(t, ws); !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	os.Mkdir(filepath.Join(ws, "last"), 0o755)
	write(t, h, "last/f", "12345")
	os.Chmod(filepath.Join(ws, "last"), 0)
	if freed, err := workspace.Remove(h.data, "w"); err != nil || freed == 0 {
		t.Errorf("freed %d, %v", freed, err)
	}
	if left, _ := os.ReadDir(h.data.Workspaces()); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestOneInstantPerApply(t *testing.T) {
	t.Parallel()
	h := newHost(t, t.TempDir())
	h.apply(t, tree{"a": file("1"), "keep": file("1")})
	kept, _ := os.Stat(filepath.Join(h.data.Workspace("w"), "keep"))
	write(t, h, "out", "built")
	built, _ := os.Stat(filepath.Join(h.data.Workspace("w"), "out"))
	r := h.apply(t, tree{"a": file("2"), "b/c": file("2"), "keep": file("1")})
	a, _ := os.Stat(filepath.Join(r.Path, "a"))
	c, _ := os.Stat(filepath.Join(r.Path, "b/c"))
	k, _ := os.Stat(filepath.Join(r.Path, "keep"))
	if !a.ModTime().Equal(c.ModTime()) || !a.ModTime().After(built.ModTime()) {
		t.Errorf("a %v, b/c %v, built before at %v", a.ModTime(), c.ModTime(), built.ModTime())
	}
	if !k.ModTime().Equal(kept.ModTime()) || r.Start.Before(a.ModTime()) {
		t.Errorf("keep %v was %v; start %v", k.ModTime(), kept.ModTime(), r.Start)
	}
}

func TestConcurrentAppliesWait(t *testing.T) {
	t.Parallel()
	h := newHost(t, t.TempDir())
	want := tree{"d/a": file("1"), "d/b": file("2"), "l": link("d")}
	root := h.send(t, want)
	s := h.set(t)
	defer s.Close()
	req := h.request(root, s)
	req.Concurrent = true
	errs := make(chan error)
	for range 4 {
		go func() { _, err := workspace.Apply(bg, req); errs <- err }()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if got := read(t, h.data.Workspace("w")); !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestInputsAreKnown(t *testing.T) {
	t.Parallel()
	h := newHost(t, t.TempDir())
	h.apply(t, tree{"d/a": executable("1"), "l": link("d")})
	in, err := workspace.LoadInputs(h.data, "w")
	if err != nil {
		t.Fatal(err)
	}
	if e, ok := in.Input("d/a"); !ok || e.Kind != snapshot.Executable || e.Size != 1 {
		t.Errorf("d/a is %+v, %v", e, ok)
	}
	for _, path := range []string{"d/b", "x/y", "d/a/b", ""} {
		if _, ok := in.Input(path); ok {
			t.Errorf("%q is said to be an input", path)
		}
	}
}
