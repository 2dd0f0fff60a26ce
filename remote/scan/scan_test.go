package scan

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
	"github.com/cyclops-fpga/cyclops/remote/place"
)

// bed is a tree and the directories of a client.
type bed struct {
	testing.TB
	root string
	dirs place.Dirs
}

func newBed(t testing.TB) *bed {
	return &bed{TB: t, root: t.TempDir(), dirs: place.Dirs{Cache: t.TempDir(), State: t.TempDir()}}
}

func (b *bed) write(path, content string) {
	b.Helper()
	full := filepath.Join(b.root, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		b.Fatal(err)
	}
}

func (b *bed) git(args ...string) {
	b.Helper()
	cmd := exec.Command("git", append([]string{"-C", b.root, "-c", "user.name=t", "-c", "user.email=t@t"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func (b *bed) take() *Tree {
	b.Helper()
	t, err := Take(b.Context(), Options{Root: b.root, Dirs: b.dirs})
	if err != nil {
		b.Fatal(err)
	}
	return t
}

// cold takes the same tree without anything remembered.
func (b *bed) cold() *Tree {
	b.Helper()
	t, err := Take(b.Context(), Options{Root: b.root, Dirs: place.Dirs{Cache: b.TempDir()}})
	if err != nil {
		b.Fatal(err)
	}
	return t
}

// paths lists what travels, directories with a slash.
func paths(t *Tree) string {
	var list []string
	var walk func(d *dir)
	walk = func(d *dir) {
		for i := range d.entries {
			e := &d.entries[i]
			if e.dir == nil {
				list = append(list, d.join(e.name))
				continue
			}
			list = append(list, e.dir.path+"/")
			walk(e.dir)
		}
	}
	walk(t.root)
	return strings.Join(list, " ")
}

func TestTakePlainTree(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.write("a.v", "module a;")
	b.write("sub/b.sh", "#!/bin/sh\n")
	b.write("build/x.o", "x")
	b.write(IgnoreName, "# outputs\nbuild/\n")
	if err := os.Chmod(filepath.Join(b.root, "sub/b.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(b.root, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/anywhere", filepath.Join(b.root, "link")); err != nil {
		t.Fatal(err)
	}
	tree := b.take()
	if got, want := paths(tree), ".cyclopsignore a.v empty/ link sub/ sub/b.sh"; got != want {
		t.Fatalf("chose %q, want %q", got, want)
	}
	if e, ok := tree.Lookup("sub/b.sh"); !ok || e.Kind != snapshot.Executable || e.Size != 10 {
		t.Errorf("sub/b.sh is %+v, %t", e, ok)
	}
	if e, ok := tree.Lookup("link"); !ok || e.Target != "/anywhere" {
		t.Errorf("link is %+v, %t", e, ok)
	}
	if tree.Files != 4 || tree.Git != nil || strings.Join(tree.Excludes, " ") != "**/build/**" {
		t.Errorf("files %d, git %v, excludes %q", tree.Files, tree.Git, tree.Excludes)
	}
}

func TestTakeAgainReadsNothing(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.write("a", "one")
	b.write("d/b", "two")
	// The change time cannot be set back: a first scan marks all as too young, a second after the tick does not.
	first := b.take()
	waitTick(t)
	b.take()
	again := b.take()
	if again.Read != 0 || again.Root != first.Root {
		t.Fatalf("read %d bytes of an unchanged tree, root %s then %s", again.Read, first.Root, again.Root)
	}
	b.write("d/b", "TWO")
	changed := b.take()
	if changed.Root == first.Root || changed.Root != b.cold().Root || changed.Read != 3 {
		t.Fatalf("after an edit: root %s (before %s), read %d", changed.Root, first.Root, changed.Read)
	}
}

// waitTick returns when files written before are old enough to be trusted.
func waitTick(t testing.TB) {
	t.Helper()
	probe := filepath.Join(t.TempDir(), "probe")
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	st, err := lstat(probe)
	if err != nil {
		t.Fatal(err)
	}
	for st.racy(time.Now().UnixNano()) {
		time.Sleep(time.Millisecond)
	}
}

func TestSameTickChangeIsSeen(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for range 50 {
		b.write("a", "one")
		one := b.take().Root
		b.write("a", "two")
		if two := b.take().Root; one == two || two != b.cold().Root {
			t.Fatal("a change within one tick was missed")
		}
	}
}
