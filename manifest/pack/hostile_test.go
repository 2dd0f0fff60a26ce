package pack_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/pack"
)

var update = flag.Bool("update", false, "write the golden files anew")

// small is a pack of two blobs and a tree.
func small(t testing.TB) []byte {
	t.Helper()
	var file bytes.Buffer
	w := pack.NewWriter(&file)
	add(t, w, pack.Blob, []byte("module top; endmodule\n"))
	add(t, w, pack.Blob, nil)
	add(t, w, pack.Tree, []byte("cyctree\x01\x00"))
	finish(t, w, &file)
	return file.Bytes()
}

func verify(t testing.TB, data []byte) error {
	_, _, err := pack.Verify(t.Context(), bytes.NewReader(data), int64(len(data)))
	return err
}

// sign makes the footer's digest right again, as an attacker would.
func sign(data []byte) []byte {
	if len(data) < sha256.Size {
		return data
	}
	body := data[: len(data)-sha256.Size : len(data)-sha256.Size]
	sum := sha256.Sum256(body)
	return append(body, sum[:]...)
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	t.Parallel()
	data := small(t)
	for i := range data {
		bad := slices.Clone(data)
		bad[i] ^= 1 << (i % 8)
		if err := verify(t, bad); !pack.IsFormat(err) {
			t.Fatalf("byte %d of %d is wrong and Verify says %v", i, len(data), err)
		}
	}
}

func TestEveryCutIsNoticed(t *testing.T) {
	t.Parallel()
	data := small(t)
	for i := range data {
		if err := verify(t, data[:i]); !pack.IsFormat(err) {
			t.Fatalf("%d of %d bytes and Verify says %v", i, len(data), err)
		}
	}
}

// forged builds a pack by hand from what a test says is in it.
type forged struct {
	frames  [][]byte // compressed
	sizes   []uint32 // what the table says of them
	objects []pack.Object
}

func (f forged) bytes() []byte {
	le := binary.LittleEndian
	out := bytes.Join(f.frames, nil)
	at := uint64(len(out))
	out = le.AppendUint32(out, 0x184D2A5C)
	out = le.AppendUint32(out, uint32(8+8*len(f.frames)+48*len(f.objects)))
	out = le.AppendUint32(out, uint32(len(f.frames)))
	out = le.AppendUint32(out, uint32(len(f.objects)))
	for i, b := range f.frames {
		out = le.AppendUint32(out, uint32(len(b)))
		out = le.AppendUint32(out, f.sizes[i])
	}
	for _, o := range f.objects {
		out = append(out, o.Sum[:]...)
		out = le.AppendUint64(out, uint64(o.Kind)<<56|uint64(o.Offset))
		out = le.AppendUint64(out, uint64(o.Size))
	}
	out = le.AppendUint32(out, 0x184D2A5D)
	out = le.AppendUint32(out, 56)
	out = append(out, "cycpack\x00"...)
	out = le.AppendUint32(out, 1)
	out = le.AppendUint32(out, 0)
	out = le.AppendUint64(out, at)
	return sign(append(out, make([]byte, sha256.Size)...))
}

func squeeze(t testing.TB, data []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return z.EncodeAll(data, nil)
}

func TestForgedPacksAreRefused(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("x"), 1000)
	frame, sum := squeeze(t, data), manifest.SumOf(data)
	half := manifest.SumOf(data[:500])
	good := forged{[][]byte{frame}, []uint32{1000}, []pack.Object{{Sum: sum, Kind: pack.Blob, Size: 1000}}}
	if err := verify(t, good.bytes()); err != nil {
		t.Fatalf("the honest one: %v", err)
	}
	sorted := func(o ...pack.Object) []pack.Object {
		slices.SortFunc(o, func(a, b pack.Object) int { return bytes.Compare(a.Sum[:], b.Sum[:]) })
		return o
	}
	reversed := sorted(pack.Object{Sum: sum, Kind: 1, Size: 1000}, pack.Object{Sum: manifest.SumOf(nil), Kind: 1})
	slices.Reverse(reversed)
	for name, f := range map[string]forged{
		"other digest":          {good.frames, good.sizes, []pack.Object{{Sum: half, Kind: 1, Size: 1000}}},
		"empty with a digest":   {good.frames, good.sizes, []pack.Object{{Sum: half, Kind: 1}}},
		"unknown kind":          {good.frames, good.sizes, []pack.Object{{Sum: sum, Kind: 3, Size: 1000}}},
		"behind the end":        {good.frames, good.sizes, []pack.Object{{Sum: sum, Kind: 1, Offset: 1, Size: 1000}}},
		"offset out of range":   {good.frames, good.sizes, []pack.Object{{Sum: sum, Kind: 1, Offset: 1<<56 - 1, Size: 1000}}},
		"negative size":         {good.frames, good.sizes, []pack.Object{{Sum: sum, Kind: 1, Size: -1}}},
		"same object twice":     {good.frames, good.sizes, []pack.Object{good.objects[0], good.objects[0]}},
		"out of order":          {good.frames, good.sizes, reversed},
		"overlapping":           {good.frames, good.sizes, sorted(good.objects[0], pack.Object{Sum: half, Kind: 1, Offset: 100, Size: 500})},
		"bomb":                  {good.frames, []uint32{10}, []pack.Object{{Sum: manifest.SumOf(data[:10]), Kind: 1, Size: 10}}},
		"frame shorter":         {good.frames, []uint32{2000}, good.objects},
		"frame too large":       {[][]byte{squeeze(t, make([]byte, pack.MaxFrame+1))}, []uint32{pack.MaxFrame + 1}, nil},
		"frame of nothing":      {[][]byte{squeeze(t, nil)}, []uint32{0}, nil},
		"frame of no bytes":     {[][]byte{{}}, []uint32{1}, nil},
		"padded frame":          {[][]byte{append(slices.Clone(frame), make([]byte, 3000)...)}, good.sizes, good.objects},
		"frame that is no zstd": {[][]byte{bytes.Repeat([]byte("x"), 100)}, good.sizes, good.objects},
	} {
		if err := verify(t, f.bytes()); !pack.IsFormat(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestALaterVersionIsRefusedWithBothNumbers(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("testdata", "future", "pack-v2.pack"))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = pack.Verify(t.Context(), bytes.NewReader(data), int64(len(data)))
	var v *pack.VersionError
	if !errors.As(err, &v) || v.Have != 2 || err.Error() != "unable to read pack of version 2: this Cyclops reads version 1" {
		t.Errorf("got %v", err)
	}
}

// Memory for what these counts promise could not be had.
func TestCountsAreCheckedBeforeMemoryIsAskedFor(t *testing.T) {
	t.Parallel()
	data := small(t)
	at := binary.LittleEndian.Uint64(data[len(data)-40:])
	for _, off := range []uint64{at + 4, at + 8, at + 12} {
		bad := slices.Clone(data)
		binary.LittleEndian.PutUint32(bad[off:], 1<<32-1)
		if err := verify(t, sign(bad)); !pack.IsFormat(err) {
			t.Errorf("a count of 4294967295 at %d: %v", off, err)
		}
	}
}

// A pack that an earlier release wrote must be readable for ever.
func TestGoldenPack(t *testing.T) {
	t.Parallel()
	name := filepath.Join("testdata", "pack-v1.pack")
	if *update {
		if err := os.WriteFile(name, small(t), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := pack.Verify(t.Context(), bytes.NewReader(data), int64(len(data)))
	if err != nil || r.Len() != 3 {
		t.Fatal(err)
	}
	o, ok := r.Find(manifest.SumOf([]byte("module top; endmodule\n")))
	if got, err := io.ReadAll(r.Reader(o)); !ok || string(got) != "module top; endmodule\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(small(f))
	f.Add(forged{}.bytes())
	f.Add(forged{[][]byte{squeeze(f, make([]byte, 100))}, []uint32{100}, nil}.bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		data = sign(data)
		r, _, err := pack.Verify(t.Context(), bytes.NewReader(data), int64(len(data)))
		if err != nil {
			if !pack.IsFormat(err) && !errors.As(err, new(*pack.VersionError)) {
				t.Errorf("said to be neither broken nor of another version: %v", err)
			}
			return
		}
		for o := range r.Objects() {
			if data, err := r.ReadAll(o, 1<<20); o.Size <= 1<<20 && (err != nil || manifest.SumOf(data) != o.Sum) {
				t.Errorf("verified object reads wrong: %v", err)
			}
		}
	})
}
