package pack_test

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/pack"
)

// files returns n contents of size bytes with their digests.
func files(n, size int) ([][]byte, []manifest.Sum, int64) {
	all, sums := make([][]byte, n), make([]manifest.Sum, n)
	for i := range all {
		all[i] = content(uint64(i), size)
		sums[i] = manifest.SumOf(all[i])
	}
	return all, sums, int64(n) * int64(size)
}

func write(b testing.TB, out io.Writer, all [][]byte, sums []manifest.Sum) {
	w := pack.NewWriter(out)
	r := new(bytes.Reader)
	for i, data := range all {
		r.Reset(data)
		if err := w.Add(pack.Blob, sums[i], int64(len(data)), r); err != nil {
			b.Fatal(err)
		}
	}
	if _, _, err := w.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, c := range []struct {
		name    string
		n, size int
	}{{"one small file", 1, 4 << 10}, {"100,000 of 500 bytes", 100_000, 500}, {"15,000 of 18 kB", 15_000, 18 << 10}, {"one of 256 MB", 1, 256 << 20}} {
		b.Run(c.name, func(b *testing.B) {
			all, sums, total := files(c.n, c.size)
			b.SetBytes(total)
			b.ReportAllocs()
			for b.Loop() {
				write(b, io.Discard, all, sums)
			}
		})
	}
}

// BenchmarkBaseline hashes and compresses the same bytes with nothing around it.
func BenchmarkBaseline(b *testing.B) {
	all, _, total := files(15_000, 18<<10)
	raw := bytes.Join(all, nil)
	b.SetBytes(total)
	for b.Loop() {
		z, err := zstd.NewWriter(nil, zstd.WithWindowSize(pack.FrameSize))
		if err != nil {
			b.Fatal(err)
		}
		var wait sync.WaitGroup
		room := make(chan struct{}, runtime.GOMAXPROCS(0))
		for frame := range slices.Chunk(raw, pack.FrameSize) {
			room <- struct{}{}
			wait.Go(func() { z.EncodeAll(frame, nil); <-room })
			manifest.SumOf(frame)
		}
		wait.Wait()
	}
}

func packed(b *testing.B) ([]byte, int64) {
	all, sums, total := files(15_000, 18<<10)
	var file bytes.Buffer
	write(b, &file, all, sums)
	b.SetBytes(total)
	b.ResetTimer()
	return file.Bytes(), int64(file.Len())
}

func BenchmarkVerify(b *testing.B) {
	file, size := packed(b)
	for b.Loop() {
		if _, _, err := pack.Verify(context.Background(), bytes.NewReader(file), size); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadInOrder(b *testing.B) {
	file, size := packed(b)
	for b.Loop() {
		r, err := pack.Open(bytes.NewReader(file), size)
		if err != nil {
			b.Fatal(err)
		}
		for _, o := range r.InOrder() {
			if _, err := io.Copy(io.Discard, r.Reader(o)); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	file, size := packed(b)
	for b.Loop() {
		if _, err := pack.Open(bytes.NewReader(file), size); err != nil {
			b.Fatal(err)
		}
	}
}
