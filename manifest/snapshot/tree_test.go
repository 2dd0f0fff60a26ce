package snapshot_test

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// The digest of a snapshot must never change between releases: what a host has is known by it.
func TestEncodingIsFixed(t *testing.T) {
	t.Parallel()
	tree := snapshot.Tree{
		{Name: "a", Kind: snapshot.File, Size: 300, Sum: manifest.Sum{1}},
		{Name: "b", Kind: snapshot.Executable, Size: 1, Sum: manifest.Sum{2}},
		{Name: "c", Kind: snapshot.Symlink, Target: "../x"},
		{Name: "d", Kind: snapshot.Dir, Size: 7, Files: 2, Sum: manifest.Sum{3}},
	}
	zeros := strings.Repeat("00", 31)
	want := "63796374726565" + "01" + "04" +
		"01" + "0161" + "ac02" + "01" + zeros +
		"02" + "0162" + "01" + "02" + zeros +
		"03" + "0163" + "042e2e2f78" +
		"04" + "0164" + "07" + "02" + "03" + zeros
	e, data, err := tree.Object("root")
	if err != nil || hex.EncodeToString(data) != want {
		t.Errorf("%x, %v", data, err)
	}
	if e.Size != 308 || e.Files != 5 || e.Sum != manifest.SumOf(data) || e.Kind != snapshot.Dir || e.Name != "root" {
		t.Errorf("entry of the directory: %+v", e)
	}
	empty, err := snapshot.Tree{}.Encode()
	if err != nil || string(empty) != "cyctree\x01\x00" {
		t.Errorf("empty tree: %q, %v", empty, err)
	}
}

func drawTree(t *rapid.T) snapshot.Tree {
	names := rapid.SliceOfNDistinct(rapid.StringMatching(`[^/\x00.]{1,40}`).Filter(snapshot.ValidName), 0, 20, rapid.ID[string]).Draw(t, "names")
	tree := snapshot.Tree{}
	for _, n := range names {
		e := snapshot.Entry{Name: n, Kind: snapshot.Kind(rapid.IntRange(1, 4).Draw(t, "kind"))}
		if e.Kind == snapshot.Symlink {
			e.Target = rapid.StringMatching(`[^\x00]{1,30}`).Draw(t, "target")
		} else {
			e.Size = rapid.Int64Range(0, 1<<40).Draw(t, "size")
			e.Sum = manifest.SumOf([]byte(n))
		}
		if e.Kind == snapshot.Dir {
			e.Files = rapid.Int64Range(0, 1<<40).Draw(t, "files")
		}
		tree = append(tree, e)
	}
	tree.Sort()
	return tree
}

func TestDecodeGivesBackWhatEncodeTook(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tree := drawTree(t)
		data, err := tree.Encode()
		if err != nil {
			t.Skip("too long a name")
		}
		got, err := snapshot.Decode(data)
		if err != nil || !slices.Equal(got, tree) {
			t.Errorf("%v, %v", got, err)
		}
		for _, e := range tree {
			if found, ok := got.Find(e.Name); !ok || found != e {
				t.Errorf("Find(%q): %v, %v", e.Name, found, ok)
			}
		}
	})
}

func TestImpossibleTreesAreNotEncoded(t *testing.T) {
	t.Parallel()
	file := func(name string) snapshot.Entry { return snapshot.Entry{Name: name, Kind: snapshot.File} }
	for what, tree := range map[string]snapshot.Tree{
		"no name":         {file("")},
		"dot":             {file(".")},
		"dot dot":         {file("..")},
		"slash":           {file("a/b")},
		"NUL":             {file("a\x00")},
		"long name":       {file(strings.Repeat("x", 256))},
		"twice":           {file("a"), file("a")},
		"unsorted":        {file("b"), file("a")},
		"kind":            {{Name: "a", Kind: 5}},
		"no kind":         {{Name: "a"}},
		"negative size":   {{Name: "a", Kind: snapshot.File, Size: -1}},
		"huge":            {{Name: "a", Kind: snapshot.File, Size: snapshot.MaxSize + 1}},
		"huge together":   {{Name: "a", Kind: snapshot.File, Size: snapshot.MaxSize}, {Name: "b", Kind: snapshot.File, Size: 1}},
		"file of files":   {{Name: "a", Kind: snapshot.File, Files: 1}},
		"file to":         {{Name: "a", Kind: snapshot.File, Target: "b"}},
		"directory to":    {{Name: "a", Kind: snapshot.Dir, Target: "b"}},
		"symlink nowhere": {{Name: "a", Kind: snapshot.Symlink}},
		"symlink to NUL":  {{Name: "a", Kind: snapshot.Symlink, Target: "\x00"}},
		"symlink too far": {{Name: "a", Kind: snapshot.Symlink, Target: strings.Repeat("x", 4096)}},
		"symlink of size": {{Name: "a", Kind: snapshot.Symlink, Target: "b", Size: 1}},
		"symlink of sum":  {{Name: "a", Kind: snapshot.Symlink, Target: "b", Sum: manifest.Sum{1}}},
	} {
		if data, err := tree.Encode(); err == nil {
			t.Errorf("%s: %x", what, data)
		}
	}
}

func TestBrokenTreesAreNotDecoded(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("s", 32)
	for what, data := range map[string]string{
		"nothing":          "",
		"other file":       "something else",
		"other version":    "cyctree\x02\x00",
		"no count":         "cyctree\x01",
		"count too large":  "cyctree\x01\xff\xff\xff\xff\x0f",
		"long zero":        "cyctree\x01\x80\x00",
		"endless number":   "cyctree\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"more behind":      "cyctree\x01\x00\x00",
		"cut in a digest":  "cyctree\x01\x01\x01\x01a\x05" + sum[:31],
		"long size":        "cyctree\x01\x01\x01\x01a\x85\x00" + sum,
		"name with slash":  "cyctree\x01\x01\x01\x01/\x05" + sum,
		"name past end":    "cyctree\x01\x01\x01\x7fa\x05" + sum,
		"unsorted":         "cyctree\x01\x02\x01\x01b\x05" + sum + "\x01\x01a\x05" + sum,
		"twice":            "cyctree\x01\x02\x01\x01a\x05" + sum + "\x01\x01a\x05" + sum,
		"kind":             "cyctree\x01\x01\x09\x01a\x05" + sum,
		"symlink to empty": "cyctree\x01\x01\x03\x01a\x00",
	} {
		if tree, err := snapshot.Decode([]byte(data)); err == nil {
			t.Errorf("%s: %v", what, tree)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("cyctree\x01\x00"))
	f.Add([]byte("cyctree\x01\x02\x03\x01a\x01b\x04\x01d\x07\x02" + strings.Repeat("s", 32)))
	f.Add([]byte("cyctree\x01\x02\x01\x01a\x85\x01" + strings.Repeat("s", 32) + "\x02\x01b\x05" + strings.Repeat("s", 32)))
	f.Fuzz(func(t *testing.T, data []byte) {
		tree, err := snapshot.Decode(data)
		if err != nil {
			return
		}
		again, err := tree.Encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("decoded from %x, encoded as %x: %v", data, again, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	var tree snapshot.Tree
	for i := range 1000 {
		name := hex.EncodeToString([]byte{byte(i >> 8), byte(i)})
		tree = append(tree, snapshot.Entry{Name: name, Kind: snapshot.File, Size: 1000, Sum: manifest.SumOf([]byte(name))})
	}
	data, err := tree.Encode()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := snapshot.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}
