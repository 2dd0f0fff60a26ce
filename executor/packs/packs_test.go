//go:build linux

package packs

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/pack"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

func newData(t *testing.T) layout.Data {
	t.Helper()
	data := layout.Data(t.TempDir())
	if err := data.Create(); err != nil {
		t.Fatal(err)
	}
	return data
}

// upload puts a pack of these blobs and a tree that names them into incoming/.
func upload(t *testing.T, data layout.Data, name string, blobs ...string) (path string, tree manifest.Sum) {
	t.Helper()
	var b bytes.Buffer
	w := pack.NewWriter(&b)
	var dir snapshot.Tree
	for _, blob := range blobs {
		sum := manifest.SumOf([]byte(blob))
		if err := w.Add(pack.Blob, sum, int64(len(blob)), bytes.NewReader([]byte(blob))); err != nil {
			t.Fatal(err)
		}
		dir = append(dir, snapshot.Entry{Name: "f" + blob, Kind: snapshot.File, Size: int64(len(blob)), Sum: sum})
	}
	dir.Sort()
	encoded, err := dir.Encode()
	if err != nil {
		t.Fatal(err)
	}
	tree = manifest.SumOf(encoded)
	if err := w.Add(pack.Tree, tree, int64(len(encoded)), bytes.NewReader(encoded)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(data.Incoming(), name)
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path, tree
}

func accepted(t *testing.T, data layout.Data, path string) manifest.Sum {
	t.Helper()
	a, err := Accept(t.Context(), data, path)
	if err != nil {
		t.Fatal(err)
	}
	return a.Sum
}

func TestWhatIsAcceptedIsFound(t *testing.T) {
	t.Parallel()
	data := newData(t)
	path1, tree1 := upload(t, data, "one", "alpha", "beta")
	path2, tree2 := upload(t, data, "two", "gamma")
	set, err := OpenSet(data, []manifest.Sum{accepted(t, data, path1), accepted(t, data, path2)})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	for _, blob := range []string{"alpha", "beta", "gamma"} {
		r, n, err := set.Open(manifest.SumOf([]byte(blob)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != blob || n != int64(len(blob)) {
			t.Errorf("%s reads %q of %d: %v", blob, got, n, err)
		}
	}
	for i, sum := range []manifest.Sum{tree1, tree2} {
		tree, err := set.Tree(t.Context(), sum)
		if err != nil || len(tree) != 2-i {
			t.Errorf("tree %d is %v: %v", i, tree, err)
		}
		if at, _ := set.Place(sum); at != i || !set.Has(sum) {
			t.Errorf("tree %d is in pack %d", i, at)
		}
	}
	if _, err := os.Stat(path1); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the upload is still there: %v", err)
	}
}

func TestWhatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	set, err := OpenSet(newData(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := manifest.SumOf([]byte("nowhere"))
	_, _, err1 := set.Open(want)
	_, err2 := set.Tree(t.Context(), want)
	for _, err := range []error{err1, err2} {
		if missing, ok := errors.AsType[*MissingError](err); !ok || missing.Sum != want {
			t.Errorf("error is %v", err)
		}
	}
	if _, err := OpenSet(newData(t), []manifest.Sum{want}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
}

func TestTheSamePackTwice(t *testing.T) {
	t.Parallel()
	data := newData(t)
	path1, _ := upload(t, data, "one", "alpha")
	path2, _ := upload(t, data, "two", "alpha")
	if accepted(t, data, path1) != accepted(t, data, path2) {
		t.Error("equal packs have different digests")
	}
	left, err := os.ReadDir(data.Incoming())
	if err != nil || len(left) != 0 {
		t.Errorf("incoming holds %v: %v", left, err)
	}
}

func TestDamagedPacksAreRefused(t *testing.T) {
	t.Parallel()
	data := newData(t)
	path, _ := upload(t, data, "good", "alpha", "beta")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range good {
		bad := bytes.Clone(good)
		bad[at] ^= 0x20
		path := filepath.Join(data.Incoming(), "bad")
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Accept(t.Context(), data, path); api.KindOf(err) != api.Corrupt {
			t.Errorf("byte %d changed: %v", at, err)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("a damaged upload was left behind: %v", err)
		}
	}
	kept, err := os.ReadDir(data.Packs())
	if err != nil || len(kept) != 0 {
		t.Errorf("packs holds %v: %v", kept, err)
	}
}

func TestWhatIsNoFileIsRefused(t *testing.T) {
	t.Parallel()
	data := newData(t)
	good, _ := upload(t, data, "good", "alpha")
	link, fifo := filepath.Join(data.Incoming(), "link"), filepath.Join(data.Incoming(), "fifo")
	if err := errors.Join(os.Symlink(good, link), unix.Mkfifo(fifo, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, fifo, filepath.Join(data.Incoming(), "absent")} {
		if _, err := Accept(t.Context(), data, path); err == nil {
			t.Errorf("%s was accepted", path)
		}
	}
	if _, err := os.Stat(good); err != nil {
		t.Error(err)
	}
}

// A pack that a later executor wrote was called damaged, and check --repair set it aside.
func TestAPackOfALaterVersionIsNotDamaged(t *testing.T) {
	t.Parallel()
	data := newData(t)
	path, _ := upload(t, data, "up", "blob")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const footer, version = 64, 16
	b[len(b)-footer+version] = pack.Version + 1
	end := len(b) - manifest.DigestSize
	sum := manifest.SumOf(b[:end])
	b = append(b[:end], sum[:]...)
	if err := os.WriteFile(data.Pack(manifest.SumOf(b)), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Verify(t.Context(), data, manifest.SumOf(b)); api.KindOf(err) != api.Incompatible {
		t.Errorf("got %v", err)
	}
}

// What was set aside first was gone when a pack of the same name was damaged again.
func TestAPackThatIsSetAsideTwiceIsThereTwice(t *testing.T) {
	t.Parallel()
	data := newData(t)
	sum := manifest.SumOf([]byte("pack"))
	for _, text := range []string{"first", "second"} {
		if err := os.WriteFile(data.Pack(sum), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := SetAside(data, sum); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := os.ReadDir(data.Damaged()); err != nil || len(all) != 2 {
		t.Errorf("set aside: %v, %v", all, err)
	}
	if err := SetAside(data, sum); err != nil {
		t.Errorf("one that is gone: %v", err)
	}
}
