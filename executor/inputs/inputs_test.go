//go:build linux

package inputs

import (
	"bytes"
	"errors"
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

// count is the number of packs that are there.
func (f *fixture) count() int {
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
	if f.count() != MaxPacks+1 {
		t.Errorf("%d packs are left", f.count())
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
	if _, freed, err := f.RemoveJobs(t.Context(), []string{id}, time.Now()); err != nil || freed[0] != 0 || f.count() != 1 {
		t.Errorf("freed %v, %v, %d packs are left", freed, err, f.count())
	}
	pins.Release()
	pins.Release()
	if f.count() != 0 {
		t.Errorf("%d packs are left", f.count())
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
	if f.count() != 2 {
		t.Errorf("%d packs are left of the two that a job draws on", f.count())
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
	if err := f.SweepFiles(t.Context()); err != nil || f.count() != 1 {
		t.Errorf("%d packs are left, %v", f.count(), err)
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

// forget has the database know nothing, as where it was lost.
func (f *fixture) forget() {
	f.Helper()
	all, err := f.files()
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range all {
		if err := f.store.Forget(f.Context(), p); err != nil {
			f.Fatal(err)
		}
	}
}

// One pack that did not open cost every snapshot what it drew on, and a host of many packs had not the
// files to open them all.
func TestADamagedPackCostsNoOtherSnapshotWhatItDrawsOn(t *testing.T) {
	f := newFixture(t)
	var roots []manifest.Sum
	for i := range 3 {
		content := fmt.Sprint("content ", i)
		root, data := f.tree(map[string]string{"f": content})
		f.accept(root, manifest.Sum{}, f.pack(data, content))
		roots = append(roots, root)
	}
	f.flip(roots[0], -50) // in its footer: it does not open
	f.flip(roots[1], 40)  // in a frame: it opens
	f.forget()
	before := openFiles(t)
	r, err := f.Restorer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := openFiles(t); n > before {
		t.Errorf("%d files are open beside the %d of before", n-before, before)
	}
	for i, root := range roots {
		if err := r.Restore(t.Context(), root); errors.Is(err, ErrIncomplete) != (i < 2) || err != nil && i == 2 {
			t.Errorf("snapshot %d: %v", i, err)
		}
	}
	set, _ := os.ReadDir(f.data.Damaged())
	if len(set) != 2 || f.count() != 1 {
		t.Errorf("%d packs were set aside, %d are left", len(set), f.count())
	}
}

// A pack that cannot be read now may be sound: what draws on it is not to be called incomplete.
func TestAPackThatCannotBeReadIsNotCalledDamaged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	root, data := f.tree(map[string]string{"f": "1"})
	f.accept(root, manifest.Sum{}, f.pack(data, "1"))
	sums, pins, err := f.Snapshot(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	pins.Release()
	f.forget()
	r, err := f.Restorer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	away := f.data.Pack(sums[0]) + ".away"
	if err := os.Rename(f.data.Pack(sums[0]), away); err != nil {
		t.Fatal(err)
	}
	if err := r.Restore(t.Context(), root); err == nil || errors.Is(err, ErrIncomplete) {
		t.Errorf("unread: %v", err)
	}
	if err := os.Rename(away, f.data.Pack(sums[0])); err != nil {
		t.Fatal(err)
	}
	if err := r.Restore(t.Context(), root); err != nil {
		t.Errorf("read: %v", err)
	}
}

// flip changes a byte of the one pack that a snapshot draws on; at counts from the end if it is negative.
func (f *fixture) flip(root manifest.Sum, at int) {
	f.Helper()
	sums, pins, err := f.Snapshot(f.Context(), root)
	if err != nil {
		f.Fatal(err)
	}
	pins.Release()
	data, err := os.ReadFile(f.data.Pack(sums[0]))
	if err != nil {
		f.Fatal(err)
	}
	data[(at+len(data))%len(data)] ^= 1
	if err := os.WriteFile(f.data.Pack(sums[0]), data, 0o600); err != nil {
		f.Fatal(err)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
