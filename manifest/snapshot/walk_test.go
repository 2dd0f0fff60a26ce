package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// store keeps trees in memory and notes which were loaded.
type store struct {
	trees  map[manifest.Sum]snapshot.Tree
	loaded []manifest.Sum
}

func newStore() *store { return &store{trees: map[manifest.Sum]snapshot.Tree{}} }

func (s *store) Tree(_ context.Context, sum manifest.Sum) (snapshot.Tree, error) {
	s.loaded = append(s.loaded, sum)
	t, ok := s.trees[sum]
	if !ok {
		return nil, &snapshot.MissingError{Sum: sum}
	}
	return t, nil
}

type fataler interface {
	Helper()
	Fatal(...any)
}

// put stores the tree of paths and their contents; a path that ends in a slash is an empty directory.
func (s *store) put(t fataler, files map[string]string) manifest.Sum {
	t.Helper()
	return s.dir(t, "", files).Sum
}

func (s *store) dir(t fataler, name string, files map[string]string) snapshot.Entry {
	t.Helper()
	below, tree := map[string]map[string]string{}, snapshot.Tree{}
	for path, text := range files {
		first, rest, deeper := strings.Cut(path, "/")
		if !deeper {
			sum := manifest.SumOf([]byte(text))
			tree = append(tree, snapshot.Entry{Name: first, Kind: snapshot.File, Size: int64(len(text)), Sum: sum})
			continue
		}
		if below[first] == nil {
			below[first] = map[string]string{}
		}
		if rest != "" {
			below[first][rest] = text
		}
	}
	for first, files := range below {
		tree = append(tree, s.dir(t, first, files))
	}
	return s.add(t, name, tree)
}

func (s *store) add(t fataler, name string, tree snapshot.Tree) snapshot.Entry {
	t.Helper()
	tree.Sort()
	e, _, err := tree.Object(name)
	if err != nil {
		t.Fatal(err)
	}
	s.trees[e.Sum] = tree
	return e
}

func TestWalkGoesInOrder(t *testing.T) {
	t.Parallel()
	s := newStore()
	root := s.put(t, map[string]string{"b/2": "x", "b/1/y": "xx", "a": "", "b.c": "xxx", "e/": ""})
	var got []string
	err := snapshot.Walk(t.Context(), root, s, func(path string, e snapshot.Entry) error {
		got = append(got, fmt.Sprintf("%s %s %d %d", path, e.Kind, e.Size, e.Files))
		return nil
	})
	want := []string{"a file 0 0", "b directory 3 2", "b/1 directory 2 1", "b/1/y file 2 0", "b/2 file 1 0", "b.c file 3 0", "e directory 0 0"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestDiffOfOneChangeLoadsOneBranch(t *testing.T) {
	t.Parallel()
	s := newStore()
	files := map[string]string{"a/b/c": "old", "a/x/y": "same", "z/q": "same"}
	before := s.put(t, files)
	files["a/b/c"] = "new"
	after := s.put(t, files)
	var got []string
	err := snapshot.Diff(t.Context(), before, after, s, func(path string, o, n *snapshot.Entry) error {
		got = append(got, path)
		return nil
	})
	if err != nil || !slices.Equal(got, []string{"a", "a/b", "a/b/c"}) || len(s.loaded) != 6 {
		t.Errorf("%q after loading %d trees, %v", got, len(s.loaded), err)
	}
}

func TestDirectoryBecomesFile(t *testing.T) {
	t.Parallel()
	s := newStore()
	before, after := s.put(t, map[string]string{"a/b/c": "x"}), s.put(t, map[string]string{"a": "y"})
	var got []string
	err := snapshot.Diff(t.Context(), before, after, s, func(path string, o, n *snapshot.Entry) error {
		got = append(got, fmt.Sprintln(path, o != nil, n != nil))
		return nil
	})
	if err != nil || !slices.Equal(got, []string{"a true true\n", "a/b true false\n", "a/b/c true false\n"}) {
		t.Errorf("%q, %v", got, err)
	}
}

func drawFiles(t *rapid.T, label string) map[string]string {
	paths := rapid.StringMatching(`([abc]/){0,3}[defg]`)
	return rapid.MapOfN(paths, rapid.SampledFrom([]string{"", "1", "22"}), 0, 20).Draw(t, label)
}

func TestDiffTurnsTheOldIntoTheNew(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, old, new := newStore(), drawFiles(t, "old"), drawFiles(t, "new")
		got := maps.Clone(old)
		err := snapshot.Diff(t.Context(), s.put(t, old), s.put(t, new), s, func(path string, o, n *snapshot.Entry) error {
			if o != nil && o.Kind == snapshot.File {
				delete(got, path)
			}
			if n != nil && n.Kind == snapshot.File {
				got[path] = strings.Repeat(fmt.Sprint(n.Size), int(n.Size))
			}
			return nil
		})
		if err != nil || !maps.Equal(got, new) {
			t.Fatalf("%v instead of %v, %v", got, new, err)
		}
	})
}

func TestSkipDirAndOtherErrors(t *testing.T) {
	t.Parallel()
	s := newStore()
	root := s.put(t, map[string]string{"a/b": "x", "c": "y"})
	var got []string
	visit := func(fail error) error {
		got = nil
		return snapshot.Walk(t.Context(), root, s, func(path string, e snapshot.Entry) error {
			got = append(got, path)
			return fail
		})
	}
	if err := visit(snapshot.SkipDir); !errors.Is(err, snapshot.SkipDir) || !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("SkipDir for all: %q, %v", got, err)
	}
	stop := errors.New("stop")
	if err := visit(stop); !errors.Is(err, stop) || len(got) != 1 {
		t.Errorf("stop: %q, %v", got, err)
	}
}

func TestMissingTreeIsNamed(t *testing.T) {
	t.Parallel()
	s := newStore()
	root := s.put(t, map[string]string{"a/b": "x"})
	gone := s.trees[root][0].Sum
	delete(s.trees, gone)
	var missing *snapshot.MissingError
	if err := walk(t, root, s); !errors.As(err, &missing) || missing.Sum != gone {
		t.Error(err)
	}
}

func walk(t *testing.T, root manifest.Sum, s *store) error {
	return snapshot.Walk(t.Context(), root, s, func(string, snapshot.Entry) error { return nil })
}

func TestTotalsThatLieAreNoticed(t *testing.T) {
	t.Parallel()
	for _, lie := range []snapshot.Entry{{Size: 2, Files: 1}, {Size: 1, Files: 2}} {
		s := newStore()
		dir := s.dir(t, "d", map[string]string{"a": "x"})
		dir.Size, dir.Files = lie.Size, lie.Files
		if err := walk(t, s.add(t, "", snapshot.Tree{dir}).Sum, s); err == nil {
			t.Errorf("%d bytes in %d files pass for 1 in 1", lie.Size, lie.Files)
		}
	}
}

// nested puts a tree so many directories deep, each holding the next one under width names.
func nested(t *testing.T, s *store, depth, width int) manifest.Sum {
	t.Helper()
	e := s.add(t, "", snapshot.Tree{})
	for range depth - 1 {
		tree := snapshot.Tree{}
		for i := range width {
			e.Name = fmt.Sprint(i)
			tree = append(tree, e)
		}
		e = s.add(t, "", tree)
	}
	return e.Sum
}

func TestDepthIsBounded(t *testing.T) {
	t.Parallel()
	s := newStore()
	if err := walk(t, nested(t, s, snapshot.MaxDepth, 1), s); err != nil {
		t.Error(err)
	}
	if err := walk(t, nested(t, s, snapshot.MaxDepth+1, 1), s); err == nil {
		t.Error("too deep a tree is walked")
	}
}

// A few hundred bytes can describe more directories than anyone can visit.
func TestWidthIsBounded(t *testing.T) {
	t.Parallel()
	s := newStore()
	if err := walk(t, nested(t, s, 20, 100), s); err == nil {
		t.Error("100^20 directories are walked")
	}
}

func TestWalkStopsWhenAsked(t *testing.T) {
	t.Parallel()
	s := newStore()
	root := s.put(t, map[string]string{"a/b": "x"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := snapshot.Walk(ctx, root, s, func(string, snapshot.Entry) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestZeroIsTheEmptyTree(t *testing.T) {
	t.Parallel()
	s := newStore()
	if err := walk(t, manifest.Sum{}, s); err != nil || len(s.loaded) != 0 {
		t.Errorf("%d trees loaded, %v", len(s.loaded), err)
	}
}
