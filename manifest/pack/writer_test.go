package pack_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"

	"github.com/klauspost/compress/zstd"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/pack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestObjectThatChangedIsLeftOut(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 1000, 3*pack.FrameSize + 5} {
		for _, kind := range []pack.Kind{pack.Blob, pack.Tree} {
			testMismatch(t, kind, size)
		}
	}
}

func testMismatch(t *testing.T, kind pack.Kind, size int) {
	t.Helper()
	var file bytes.Buffer
	w := pack.NewWriter(&file)
	before := add(t, w, pack.Blob, content(1, 1000))
	old, now := content(2, size), content(3, size)
	sum := manifest.SumOf(old)
	var mismatch *pack.MismatchError
	if err := w.Add(kind, sum, int64(size), bytes.NewReader(now)); !errors.As(err, &mismatch) || mismatch.Got != manifest.SumOf(now) {
		t.Errorf("changed object of %d bytes: %v", size, err)
	}
	if err := w.Add(kind, sum, int64(size), bytes.NewReader(old[:size-1])); !errors.As(err, &mismatch) || mismatch.GotSize != int64(size-1) {
		t.Errorf("shortened object of %d bytes: %v", size, err)
	}
	broken := io.MultiReader(bytes.NewReader(old[:size/2]), iotest.ErrReader(errors.New("bad disk")))
	if err := w.Add(kind, sum, int64(size), broken); err == nil || errors.As(err, &mismatch) {
		t.Errorf("object of %d bytes that cannot be read: %v", size, err)
	}
	if w.Has(sum) {
		t.Error("the pack claims an object that it lacks")
	}
	after := add(t, w, pack.Blob, content(4, 1000))
	r := finish(t, w, &file)
	if _, ok := r.Find(sum); ok || r.Len() != 2 {
		t.Errorf("pack holds %d objects, the changed one: %v", r.Len(), ok)
	}
	for _, want := range []manifest.Sum{before, after} {
		if _, ok := r.Find(want); !ok {
			t.Errorf("pack lacks %v, which did not change", want)
		}
	}
}

// finish closes w and verifies what it wrote.
func finish(t testing.TB, w *pack.Writer, file *bytes.Buffer) *pack.Reader {
	t.Helper()
	sum, size, err := w.Close()
	if err != nil || size != int64(file.Len()) {
		t.Fatalf("closing after %d of %d bytes: %v", size, file.Len(), err)
	}
	r, got, err := pack.Verify(t.Context(), bytes.NewReader(file.Bytes()), size)
	if err != nil || got != sum || got != manifest.SumOf(file.Bytes()) {
		t.Fatalf("the pack does not verify: digest %v, not %v: %v", got, sum, err)
	}
	return r
}

func TestSameObjectTwiceIsStoredOnce(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	w := pack.NewWriter(&file)
	sum := add(t, w, pack.Blob, content(1, 1000))
	if err := w.Add(pack.Blob, sum, 1000, iotest.ErrReader(errors.New("read again"))); err != nil {
		t.Error(err)
	}
	if r := finish(t, w, &file); r.Len() != 1 || r.Raw() != 1000 {
		t.Errorf("%d objects in %d bytes", r.Len(), r.Raw())
	}
}

func TestPackIsAZstdStream(t *testing.T) {
	t.Parallel()
	var file, want bytes.Buffer
	w := pack.NewWriter(&file)
	for i := range 5 {
		data := content(uint64(i), 600_000)
		add(t, w, pack.Blob, data)
		want.Write(data)
	}
	finish(t, w, &file)
	z, err := zstd.NewReader(&file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("zstd reads %d of %d bytes: %v", len(got), want.Len(), err)
	}
}

func TestEmptyPack(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	if r := finish(t, pack.NewWriter(&file), &file); r.Len() != 0 || r.Raw() != 0 {
		t.Errorf("%d objects in %d bytes", r.Len(), r.Raw())
	}
}

// full takes so many bytes and then fails, like a full disk.
type full struct{ left int }

func (f *full) Write(p []byte) (int, error) {
	n := min(len(p), f.left)
	f.left -= n
	if n < len(p) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}

func TestFullDiskIsSaid(t *testing.T) {
	t.Parallel()
	for _, room := range []int{0, 1000, 300_000, 600_000} {
		w := pack.NewWriter(&full{left: room})
		var failed error
		for i := range 20 {
			data := content(uint64(i), 900_000)
			if failed = w.Add(pack.Blob, manifest.SumOf(data), int64(len(data)), bytes.NewReader(data)); failed != nil {
				break
			}
		}
		if _, _, err := w.Close(); err == nil || failed == nil {
			t.Errorf("with room for %d bytes: Add %v, Close %v", room, failed, err)
		}
		if err := w.Add(pack.Blob, manifest.Sum{}, 0, nil); err == nil {
			t.Error("a pack that failed takes another object")
		}
	}
}

func TestClosedPackTakesNothing(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	w := pack.NewWriter(&file)
	finish(t, w, &file)
	if err := w.Add(pack.Blob, manifest.SumOf(nil), 0, bytes.NewReader(nil)); err == nil {
		t.Error("a closed pack takes an object")
	}
	if _, _, err := w.Close(); err == nil {
		t.Error("a pack closes twice")
	}
}

func TestImpossibleSizesAreRefused(t *testing.T) {
	t.Parallel()
	w := pack.NewWriter(io.Discard)
	for _, size := range []int64{-1, pack.MaxRaw + 1, 1<<63 - 1} {
		if err := w.Add(pack.Blob, manifest.Sum{1}, size, bytes.NewReader(nil)); err == nil {
			t.Errorf("an object of %d bytes is taken", size)
		}
	}
}
