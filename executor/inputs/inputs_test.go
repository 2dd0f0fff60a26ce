//go:build linux

package inputs

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/packs"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/pack"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

type fixture struct {
	*testing.T
	*Inputs
	seq int64
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	data := layout.Data(t.TempDir())
	if err := data.Create(); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), data.Database())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &fixture{T: t, Inputs: New(data, s)}
}

// tree encodes a flat directory and returns its digest and bytes.
func (f *fixture) tree(files map[string]string) (manifest.Sum, []byte) {
	f.Helper()
	var tree snapshot.Tree
	for name, content := range files {
		tree = append(tree, snapshot.Entry{Name: name, Kind: snapshot.File, Size: int64(len(content)), Sum: manifest.SumOf([]byte(content))})
	}
	tree.Sort()
	e, data, err := tree.Object("")
	if err != nil {
		f.Fatal(err)
	}
	return e.Sum, data
}

// pack writes a pack into incoming/ with a tree and some of its files.
func (f *fixture) pack(tree []byte, contents ...string) string {
	f.Helper()
	var b bytes.Buffer
	w := pack.NewWriter(&b)
	add := func(kind pack.Kind, data []byte) {
		if err := w.Add(kind, manifest.SumOf(data), int64(len(data)), bytes.NewReader(data)); err != nil {
			f.Fatal(err)
		}
	}
	add(pack.Tree, tree)
	for _, c := range contents {
		add(pack.Blob, []byte(c))
	}
	if _, _, err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.seq++
	path := filepath.Join(f.data.Incoming(), fmt.Sprint("upload-", f.seq))
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		f.Fatal(err)
	}
	return path
}

// accept gathers a snapshot and stores a job that names it.
func (f *fixture) accept(root, base manifest.Sum, files ...string) string {
	f.Helper()
	id := manifest.NewID()
	r := Request{Job: id, Snapshot: root, Files: files}
	if !base.IsZero() {
		r.Bases = []manifest.Sum{base}
	}
	g, missing, err := f.Gather(f.Context(), r)
	if err != nil || missing != nil {
		f.Fatal(missing, err)
	}
	defer g.Release()
	f.seq++
	now := time.Now()
	j := store.Job{Seq: f.seq, ID: id, State: manifest.Succeeded, Workspace: "w", Snapshot: root, Accepted: now, Ended: now}
	if err := f.store.Accept(f.Context(), store.Acceptance{Job: j, Spec: []byte("{}"), Packs: g.Packs, New: g.New}); err != nil {
		f.Fatal(err)
	}
	return id
}

func (f *fixture) files() int {
	f.Helper()
	entries, err := os.ReadDir(f.data.Packs())
	if err != nil {
		f.Fatal(err)
	}
	return len(entries)
}

func TestCompactLeavesOnePackThatHoldsEverything(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	files := map[string]string{}
	var base manifest.Sum
	for i := range MaxPacks + 1 {
		content := fmt.Sprint("content ", i)
		files[fmt.Sprint("f", i)] = content
		root, data := f.tree(files)
		f.accept(root, base, f.pack(data, content))
		base = root
	}
	if err := f.Compact(t.Context(), base); err != nil {
		t.Fatal(err)
	}
	sums, pins, err := f.Snapshot(t.Context(), base)
	if err != nil || len(sums) != 1 {
		t.Fatalf("it draws on %d packs, %v", len(sums), err)
	}
	defer pins.Release()
	set, err := packs.OpenSet(f.data, sums)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	for _, content := range files {
		r, _, err := set.Open(manifest.SumOf([]byte(content)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != content {
			t.Errorf("got %q, %v, want %q", got, err, content)
		}
	}
	// Only the last of the others was drawn on by nothing else.
	if f.files() != MaxPacks+1 {
		t.Errorf("%d packs are left", f.files())
	}
	if err := f.Compact(t.Context(), base); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestPinnedPacksGoWhenTheyAreReleased(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	root, data := f.tree(map[string]string{"a": "1"})
	id := f.accept(root, manifest.Sum{}, f.pack(data, "1"))
	_, pins, err := f.Snapshot(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if _, freed, err := f.RemoveJobs(t.Context(), []string{id}, time.Now()); err != nil || freed[0] != 0 || f.files() != 1 {
		t.Errorf("freed %v, %v, %d packs are left", freed, err, f.files())
	}
	pins.Release()
	pins.Release()
	if f.files() != 0 {
		t.Errorf("%d packs are left", f.files())
	}
}

func TestAPackThatIsNamedAgainStays(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	root, data := f.tree(map[string]string{"a": "1"})
	id := f.accept(root, manifest.Sum{}, f.pack(data, "1"))
	next, more := f.tree(map[string]string{"a": "1", "b": "2"})
	g, missing, err := f.Gather(t.Context(), Request{Job: manifest.NewID(), Snapshot: next, Bases: []manifest.Sum{root}, Files: []string{f.pack(more, "2")}})
	if err != nil || missing != nil {
		t.Fatal(missing, err)
	}
	if _, _, err := f.RemoveJobs(t.Context(), []string{id}, time.Now()); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	j := store.Job{Seq: 99, ID: manifest.NewID(), State: manifest.Succeeded, Snapshot: next, Accepted: now, Ended: now}
	if err := f.store.Accept(t.Context(), store.Acceptance{Job: j, Spec: []byte("{}"), Packs: g.Packs, New: g.New}); err != nil {
		t.Fatal(err)
	}
	g.Release()
	if f.files() != 2 {
		t.Errorf("%d packs are left of the two that a job draws on", f.files())
	}
}

func TestSweepTakesUploadsThatNobodySubmitted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, data := f.tree(nil)
	f.pack(data)
	if err := f.Sweep(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(f.data.Incoming()); len(left) != 1 {
		t.Errorf("a fresh upload was swept: %v", left)
	}
	if err := f.Sweep(t.Context(), time.Now().Add(store.HoldTime+time.Minute)); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(f.data.Incoming()); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestSweepFilesTakesPacksThatACrashLeft(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	root, data := f.tree(map[string]string{"a": "1"})
	f.accept(root, manifest.Sum{}, f.pack(data, "1"))
	_, other := f.tree(map[string]string{"b": "2"})
	if _, err := packs.Accept(t.Context(), f.data, f.pack(other, "2")); err != nil {
		t.Fatal(err)
	}
	if err := f.SweepFiles(t.Context()); err != nil || f.files() != 1 {
		t.Errorf("%d packs are left, %v", f.files(), err)
	}
}

func TestLyingTreesAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	tree := snapshot.Tree{{Name: "a", Kind: snapshot.File, Size: 99, Sum: manifest.SumOf([]byte("1"))}}
	e, data, err := tree.Object("")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Gather(t.Context(), Request{Job: manifest.NewID(), Snapshot: e.Sum, Files: []string{f.pack(data, "1")}}); err == nil {
		t.Error("a file of 1 byte was taken for one of 99")
	}
}
