//go:build unix

package scan

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// commit makes a repository of the named files, each in the commit.
func (b *bed) commit(names ...string) {
	b.Helper()
	b.git("init", "-q")
	for _, name := range names {
		b.write(name, "as in the commit of "+name)
	}
	b.git("add", "-f", "-A")
	b.git("commit", "-qm", "x")
}

func (b *bed) remove(name string) {
	b.Helper()
	if err := os.Remove(filepath.Join(b.root, name)); err != nil {
		b.Fatal(err)
	}
}

// changed takes the tree and compares what is in no commit with want.
func (b *bed) changed(want ...string) {
	b.Helper()
	for _, t := range []*Tree{b.take(), b.cold()} {
		if !slices.Equal(t.Git.Changed, want) || t.Git.ChangedCount != len(want) {
			b.Errorf("%d changed: %q, want %q", t.Git.ChangedCount, t.Git.Changed, want)
		}
	}
}

func TestChangedFilesAreNamed(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.commit("a.v", "d/gone.v", "same.v", "untracked again.v", "z/old name.v")
	b.changed()
	if g := b.take().Git; g.Dirty {
		t.Errorf("nothing changed: %+v", g)
	}
	b.write(".gitignore", "*.o\n")
	b.write("a.v", "changed")
	b.write("a.o", "ignored")
	b.write("new dir/x.v", "new")
	b.write("new\nline.v", "new")
	b.remove("d/gone.v")
	b.git("rm", "-q", "--cached", "untracked again.v")
	b.git("mv", "z/old name.v", "# branch.head evil")
	b.changed("# branch.head evil", ".gitignore", "a.v", "d/gone.v", "new\nline.v", "new dir/", "untracked again.v", "z/old name.v")
	b.git("commit", "-qm", "moved")
	b.git("mv", "# branch.head evil", "good")
	if g := b.take().Git; g.Branch == "evil" {
		t.Error("the name that a file had is taken for the branch")
	}
	b.git("add", "-A")
	b.git("commit", "-qm", "all")
	b.changed()
}

func TestUnchangedTreeKeepsTheNames(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.commit("a.v", "b.v")
	b.write("a.v", "changed")
	waitTick(t)
	b.changed("a.v")
	index := loadIndex(indexFile(b.dirs.Cache, b.root, false))
	if index == nil || !slices.Equal(index.git.changed, []string{"a.v"}) || index.git.count != 1 {
		t.Fatalf("the index keeps %+v", index)
	}
	b.changed("a.v")
	b.write("b.v", "changed too")
	b.changed("a.v", "b.v")
}

func TestChangesElsewhereAreNotNamed(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.commit("top.v", "sub/a.v", "sub/secret/b.v")
	sub := *b
	sub.root = filepath.Join(b.root, "sub")
	b.write("top.v", "changed")
	if g := sub.take().Git; !g.Dirty {
		t.Errorf("a change beside the tree is one: %+v", g)
	}
	sub.changed()
	sub.write(IgnoreName, "secret/\nnew/\n")
	sub.write("secret/b.v", "changed")
	sub.write("new/c.v", "new")
	sub.write("out.bin.cyclops-abcdefgh", "a conflict")
	sub.write("a.v", "changed")
	sub.changed(IgnoreName, "a.v")
}

func TestTreeThatIsNewAsAWhole(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.commit("top.v")
	b.write("new/in/a.v", "new")
	for _, root := range []string{"new", "new/in"} {
		sub := *b
		sub.root = filepath.Join(b.root, root)
		sub.changed("./")
	}
}

func TestChangedFilesAreBounded(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.commit("a.v")
	for i := range 150 {
		b.write(fmt.Sprintf("n%03d.v", i), "new")
	}
	g := b.take().Git
	if len(g.Changed) != maxChanged || g.Changed[0] != "n000.v" || g.ChangedCount != 150 {
		t.Errorf("%d of %d named, from %s", len(g.Changed), g.ChangedCount, g.Changed[0])
	}
	for i := range 90 {
		b.write(fmt.Sprintf("l%02d%s", i, strings.Repeat("o", 240)), "new")
	}
	g = b.take().Git
	if size := len(strings.Join(g.Changed, "")); size > maxChangedBytes || size < maxChangedBytes-243 || g.ChangedCount != 240 {
		t.Errorf("%d of %d named, of %d bytes", len(g.Changed), g.ChangedCount, size)
	}
}

// Not every file system of these machines takes such a name.
func TestNameWithoutUTF8(t *testing.T) {
	t.Parallel()
	in := (&repo{prefix: "sub"}).changedInTree([]string{"sub/\xff\xfe.v", "other"}, &ignoreFile{})
	if !slices.Equal(in, []string{"\uFFFD.v"}) {
		t.Errorf("%q", in)
	}
}

func TestConflictIsNamed(t *testing.T) {
	t.Parallel()
	g, paths := parseStatus("# branch.oid 12\x00# stash 1\x00u UU N... 100644 100644 100644 100644 h1 h2 h3 a b.v\x00! ignored\x00")
	if g.commit != "12" || !g.dirty || !slices.Equal(paths, []string{"a b.v", "ignored"}) {
		t.Errorf("%+v, %q", g, paths)
	}
}

func FuzzStatus(f *testing.F) {
	f.Add("# branch.oid (initial)\x00# branch.head main\x001 .M N... 100644 100644 100644 h h a b\x00? new/\x00", "in")
	f.Add("2 R. N... 100644 100644 100644 h h R100 in/to\x00# branch.head from\x00? \x00?\x002\x00", "")
	f.Fuzz(func(t *testing.T, out, prefix string) {
		g, paths := parseStatus(out)
		g.keep((&repo{prefix: prefix}).changedInTree(paths, &ignoreFile{}))
		if len(g.changed) > g.count || g.count > len(paths) || g.dirty != (len(paths) > 0) || !slices.IsSorted(g.changed) || !utf8.ValidString(strings.Join(g.changed, "")) {
			t.Errorf("%+v of %q", g, paths)
		}
	})
}
