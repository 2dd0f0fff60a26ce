//go:build linux

package workspace

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

func sampleIndex() *index {
	sub := &dir{sum: manifest.SumOf([]byte("sub")), entries: []entry{
		{Entry: snapshot.Entry{Name: "l", Kind: snapshot.Symlink, Target: "../x"}, stamp: stamp{1, 2, 3, 4}},
	}}
	return &index{boot: "boot", root: &dir{sum: manifest.SumOf([]byte("root")), entries: []entry{
		{Entry: snapshot.Entry{Name: "d", Kind: snapshot.Dir, Files: 1, Sum: sub.sum}, dir: sub},
		{Entry: snapshot.Entry{Name: "f\xff", Kind: snapshot.File, Size: 7, Sum: manifest.SumOf([]byte("f"))}, stamp: stamp{-5, 6, 7, 0o100644}},
	}}}
}

// FuzzIndex gives the decoder what no apply wrote, with a checksum that is right.
func FuzzIndex(f *testing.F) {
	whole := sampleIndex().encode()
	f.Add(whole[:len(whole)-4])
	f.Add([]byte(indexHeader))
	f.Fuzz(func(t *testing.T, data []byte) {
		data = binary.LittleEndian.AppendUint32(slices.Clone(data), crc32.Checksum(data, castagnoli))
		x, err := decodeIndex(data)
		if err != nil {
			return
		}
		again, err := decodeIndex(x.encode())
		if err != nil || !bytes.Equal(again.encode(), x.encode()) {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
	})
}

func TestATornIndexIsNoIndex(t *testing.T) {
	t.Parallel()
	whole := sampleIndex().encode()
	if x, err := decodeIndex(whole); err != nil || !bytes.Equal(x.encode(), whole) {
		t.Fatalf("the whole one: %v", err)
	}
	for n := range whole {
		if _, err := decodeIndex(whole[:n]); err == nil {
			t.Fatalf("%d of %d bytes were believed", n, len(whole))
		}
	}
}

// Only the last line of a journal may be torn; the one before it then counts.
func TestATornJournalLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "w.apply")
	a, b := manifest.SumOf([]byte("a")), manifest.SumOf([]byte("b"))
	write := func(sums ...manifest.Sum) {
		j, err := openJournal(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer j.close()
		if err := j.record(sums, true); err != nil {
			t.Fatal(err)
		}
	}
	write(a)
	fi, _ := os.Stat(path)
	write(a, b)
	if err := os.Truncate(path, fi.Size()+90); err != nil {
		t.Fatal(err)
	}
	expect := func(want ...manifest.Sum) {
		t.Helper()
		j, err := openJournal(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer j.close()
		if !slices.Equal(j.snapshots, want) {
			t.Errorf("journal says %v, want %v", j.snapshots, want)
		}
	}
	expect(a)
	for range 2 * maxJournal / 140 {
		write(a, b)
	}
	write(b)
	expect(b)
	if fi, _ := os.Stat(path); fi.Size() > maxJournal {
		t.Errorf("journal has grown to %d bytes", fi.Size())
	}
}
