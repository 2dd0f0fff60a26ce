package pack_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/pack"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// counting counts the reads of a file.
type counting struct {
	io.ReaderAt
	reads atomic.Int64
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	c.reads.Add(1)
	return c.ReaderAt.ReadAt(p, off)
}

// sample is a pack of many frames whose blobs and trees were added in turns, as a client walks.
func sample(t testing.TB, n int) ([]byte, []manifest.Sum) {
	t.Helper()
	var file bytes.Buffer
	w := pack.NewWriter(&file)
	var trees []manifest.Sum
	for i := range n {
		e, data, err := snapshot.Tree{{Name: "a", Kind: snapshot.File, Size: int64(i)}}.Object("d")
		if err != nil {
			t.Fatal(err)
		}
		add(t, w, pack.Tree, data)
		add(t, w, pack.Blob, content(uint64(i), 50_000))
		trees = append(trees, e.Sum)
	}
	finish(t, w, &file)
	return file.Bytes(), trees
}

func TestReadingInOrderDecodesEachFrameOnce(t *testing.T) {
	t.Parallel()
	data, _ := sample(t, 200)
	file := &counting{ReaderAt: bytes.NewReader(data)}
	r, err := pack.Open(file, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	opened := file.reads.Load()
	for _, o := range r.InOrder() {
		if n, err := io.Copy(io.Discard, r.Reader(o)); err != nil || n != o.Size {
			t.Fatalf("%d of %d bytes: %v", n, o.Size, err)
		}
	}
	frames := (r.Raw() + pack.FrameSize - 1) / pack.FrameSize
	if got := file.reads.Load() - opened; got > frames+1 {
		t.Errorf("%d reads for about %d frames", got, frames)
	}
}

func TestTreesLieTogether(t *testing.T) {
	t.Parallel()
	data, trees := sample(t, 200)
	file := &counting{ReaderAt: bytes.NewReader(data)}
	r, err := pack.Open(file, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	opened := file.reads.Load()
	for _, sum := range trees {
		if _, err := r.Tree(t.Context(), sum); err != nil {
			t.Fatal(err)
		}
	}
	if got := file.reads.Load() - opened; got != 1 {
		t.Errorf("%d frames read for all trees, not 1", got)
	}
}

func TestMissingTreeIsNamed(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	w := pack.NewWriter(&file)
	blob := add(t, w, pack.Blob, []byte("no tree"))
	r := finish(t, w, &file)
	for _, sum := range []manifest.Sum{{1}, blob} {
		var missing *snapshot.MissingError
		if _, err := r.Tree(t.Context(), sum); !errors.As(err, &missing) || missing.Sum != sum {
			t.Errorf("tree %v: %v", sum, err)
		}
	}
}

func TestSeveralReadAtOnce(t *testing.T) {
	t.Parallel()
	data, _ := sample(t, 100)
	cache := pack.NewCache(2 * pack.FrameSize)
	var wait sync.WaitGroup
	for range 2 {
		r, err := cache.Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			wait.Go(func() { readAll(t, r, r.InOrder()) })
			wait.Go(func() { readAll(t, r, slices.Collect(r.Objects())) })
		}
	}
	wait.Wait()
}

func readAll(t *testing.T, r *pack.Reader, objects []pack.Object) {
	for _, o := range objects {
		if data, err := r.ReadAll(o, o.Size); err != nil || manifest.SumOf(data) != o.Sum {
			t.Errorf("object %v: %v", o.Sum, err)
		}
	}
}

func TestReadAllKeepsItsLimit(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	w := pack.NewWriter(&file)
	sum := add(t, w, pack.Blob, content(1, 1000))
	r := finish(t, w, &file)
	o, _ := r.Find(sum)
	if _, err := r.ReadAll(o, 999); err == nil {
		t.Error("1000 bytes pass a limit of 999")
	}
	if _, err := r.ReadAll(o, 1000); err != nil {
		t.Error(err)
	}
}

func TestVerifyStopsWhenAsked(t *testing.T) {
	t.Parallel()
	data, _ := sample(t, 50)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := pack.Verify(ctx, bytes.NewReader(data), int64(len(data))); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
