//go:build unix

package scan

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/place"
)

// files lists the files that travel, without directories.
func files(t *Tree) []string {
	list := strings.Fields(paths(t))
	return slices.DeleteFunc(list, func(p string) bool { return strings.HasSuffix(p, "/") })
}

// gitFiles lists what git itself would show of a work tree.
func (b *bed) gitFiles() []string {
	b.Helper()
	cmd := exec.Command("git", "-C", b.root, "ls-files", "-z", "-co", "--exclude-standard", "--deduplicate")
	out, err := cmd.Output()
	if err != nil {
		b.Fatal(err)
	}
	list := strings.FieldsFunc(string(out), func(c rune) bool { return c == 0 })
	list = slices.DeleteFunc(list, func(p string) bool {
		_, err := os.Lstat(filepath.Join(b.root, p))
		return err != nil || own(filepath.Base(p))
	})
	slices.Sort(list)
	return list
}

func TestGitChoosesTheFiles(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.git("init", "-q")
	b.write(".gitignore", "*.o\n/build/\n!keep.o\nig*/\n")
	for _, p := range []string{"a.c", "a.o", "keep.o", "build/x", "sub/build/y", "sub/z.o", "ig1/a", "ig2/tracked", "ig2/other", "allig/q.o"} {
		b.write(p, p)
	}
	b.git("add", "-f", "ig2/tracked", "a.c")
	b.write("ig2/.gitignore", "*\n")
	tree := b.take()
	got := files(tree)
	slices.Sort(got)
	want := b.gitFiles()
	if !slices.Equal(got, want) {
		t.Fatalf("chose %q, git %q", got, want)
	}
	if _, ok := tree.Lookup("allig"); !ok {
		t.Error("a directory that no rule names travels, empty")
	}
	if _, ok := tree.Lookup("ig1"); ok {
		t.Error("an ignored directory travels")
	}
	if tree.Git == nil || !tree.Git.Dirty || tree.Git.Commit != "" {
		t.Errorf("git %+v", tree.Git)
	}
	b.git("add", "-A")
	b.git("commit", "-qm", "x")
	if tree = b.take(); tree.Git.Dirty || len(tree.Git.Commit) != 40 || tree.Git.Branch == "" {
		t.Errorf("after a commit: %+v", tree.Git)
	}
}

func TestNestedRepositories(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.git("init", "-q")
	b.write(".gitignore", "*.o\n")
	inner := *b
	inner.root = filepath.Join(b.root, "lib")
	b.write("lib/.gitignore", "*.tmp\n")
	inner.git("init", "-q")
	for _, p := range []string{"a.o", "a.tmp", "lib/b.o", "lib/b.tmp", "lib/b.c"} {
		b.write(p, p)
	}
	if got, want := paths(b.take()), ".gitignore a.tmp lib/ lib/.gitignore lib/b.c lib/b.o"; got != want {
		t.Fatalf("chose %q, want %q", got, want)
	}
	waitTick(t)
	b.take()
	b.write("lib/c.tmp", "")
	b.write("lib/c.o", "")
	if got, want := paths(b.take()), ".gitignore a.tmp lib/ lib/.gitignore lib/b.c lib/b.o lib/c.o"; got != want {
		t.Fatalf("later chose %q, want %q", got, want)
	}
}

func TestRootBelowTheRepository(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.git("init", "-q")
	b.write(".gitignore", "*.o\n/sub/no\n/whole/\n")
	for _, p := range []string{"top", "sub/a.o", "sub/no", "sub/yes", "whole/in/a.o", "whole/in/b"} {
		b.write(p, p)
	}
	sub := *b
	sub.root = filepath.Join(b.root, "sub")
	if got := paths(sub.take()); got != "yes" {
		t.Errorf("chose %q", got)
	}
	sub.root = filepath.Join(b.root, "whole/in")
	if got := paths(sub.take()); got != "a.o b" {
		t.Errorf("a root that git ignores: chose %q", got)
	}
}

func TestWithGit(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.git("init", "-q")
	b.write("a", "a")
	tree, err := Take(t.Context(), Options{Root: b.root, Dirs: b.dirs, WithGit: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := tree.Lookup(".git/HEAD"); !ok {
		t.Errorf("chose %q", paths(tree))
	}
	if _, ok := b.take().Lookup(".git"); ok {
		t.Error(".git travels unasked")
	}
}

// TestWarmIsCold changes a work tree at random: a scan with an index must always see what one without sees, and choose what git does.
func TestWarmIsCold(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		root, err := os.MkdirTemp(cache, "tree")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(root)
		b := &bed{TB: t, root: root, dirs: place.Dirs{Cache: filepath.Join(cache, fmt.Sprint(n))}}
		b.git("init", "-q")
		for range rapid.IntRange(1, 4).Draw(rt, "rounds") {
			if rapid.Bool().Draw(rt, "settled") { // otherwise all is too young for the index to be trusted
				waitTick(t)
				b.take()
			}
			for range rapid.IntRange(1, 4).Draw(rt, "changes") {
				b.change(rt)
			}
			warm := b.take()
			cold, err := Take(t.Context(), Options{Root: root, Dirs: place.Dirs{Cache: filepath.Join(cache, "none", fmt.Sprint(n))}})
			if err != nil {
				rt.Fatal(err)
			}
			os.RemoveAll(filepath.Join(cache, "none"))
			if warm.Root != cold.Root {
				rt.Fatalf("warm %q\ncold %q", paths(warm), paths(cold))
			}
			if !reflect.DeepEqual(warm.Git, cold.Git) {
				rt.Fatalf("warm %+v, cold %+v", warm.Git, cold.Git)
			}
			got := files(warm)
			slices.Sort(got)
			if want := b.gitFiles(); !slices.Equal(got, want) {
				rt.Fatalf("chose %q\ngit   %q", got, want)
			}
		}
	})
}

// change does one thing that a developer might.
func (b *bed) change(rt *rapid.T) {
	dir := rapid.SampledFrom([]string{"", "d/", "d/e/", "ig/", "ig/s/", "k.o/"}).Draw(rt, "dir")
	name := dir + rapid.SampledFrom([]string{"a", "b.o", "c.tmp", "ig", ".gitignore"}).Draw(rt, "name")
	full := filepath.Join(b.root, name)
	do := rapid.SampledFrom([]string{"write", "write", "remove", "link", "chmod", "add", "commit", "mkdir"}).Draw(rt, "do")
	switch do {
	case "write":
		content := rapid.SampledFrom([]string{"", "*.o\n", "ig/\n", "*.tmp\n!c.tmp\n", "/d\n", "*\n!a\n"}).Draw(rt, "content")
		_ = os.MkdirAll(filepath.Dir(full), 0o755)
		_ = os.WriteFile(full, []byte(content), 0o644)
	case "mkdir":
		_ = os.MkdirAll(full, 0o755)
	case "remove":
		_ = os.RemoveAll(full)
	case "link":
		_ = errors.Join(os.Remove(full), os.Symlink(rapid.SampledFrom([]string{"a", "b.o", "/nowhere"}).Draw(rt, "target"), full))
	case "chmod":
		if st, err := lstat(full); err == nil && st.kind == regular {
			_ = os.Chmod(full, 0o755)
		}
	case "add":
		_ = exec.Command("git", "-C", b.root, "add", "-f", "--", name).Run()
	case "commit":
		_ = exec.Command("git", "-C", b.root, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x").Run()
	}
}

func TestSpecialFilesStayHome(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.write("a", "a")
	b.write("out.bin.cyclops-abcdefgh", "a conflict")
	b.write(".cyclops-0123456789abcdef", "a partial one")
	if err := unix.Mkfifo(filepath.Join(b.root, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := paths(b.take()); got != "a" {
		t.Errorf("chose %q", got)
	}
	if err := os.Remove(filepath.Join(b.root, "fifo")); err != nil {
		t.Fatal(err)
	}
	b.write("fifo", "now a file")
	if got := paths(b.take()); got != "a fifo" {
		t.Errorf("chose %q", got)
	}
}

func TestUnreadableFileIsNamed(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("root can read everything")
	}
	b := newBed(t)
	b.write("d/secret", "x")
	if err := os.Chmod(filepath.Join(b.root, "d/secret"), 0); err != nil {
		t.Fatal(err)
	}
	_, err := Take(t.Context(), Options{Root: b.root, Dirs: b.dirs})
	if api.KindOf(err) != api.Refused || !strings.Contains(err.Error(), "d/secret") {
		t.Errorf("%v", err)
	}
}

func TestChangingFileIsNamed(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.write("f", "x")
	if err := os.Truncate(filepath.Join(b.root, "f"), 128<<20); err != nil { // large: the writer must get a turn while it is read
		t.Fatal(err)
	}
	stop, done, writes := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		f, err := os.OpenFile(filepath.Join(b.root, "f"), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return
		}
		defer f.Close()
		_, _ = f.WriteString("y")
		close(writes)
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = f.WriteString("y")
			}
		}
	}()
	<-writes
	_, err := Take(t.Context(), Options{Root: b.root, Dirs: b.dirs})
	close(stop)
	<-done
	if api.KindOf(err) != api.Changing || !strings.Contains(err.Error(), "unable to pin f:") {
		t.Errorf("%v", err)
	}
}

func TestDamagedIndexIsNone(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.write("d/a", "a")
	want := b.take().Root
	file := indexFile(b.dirs.Cache, b.root, false)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		bad := slices.Clone(data)
		bad[i] ^= 1
		if decodeIndex(bad) != nil || decodeIndex(data[:i:i]) != nil {
			t.Fatalf("took an index damaged at %d", i)
		}
	}
	if err := os.WriteFile(file, data[:len(data)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if got := b.take().Root; got != want {
		t.Error("a damaged index changed the snapshot")
	}
}

func TestWithoutGit(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.git("init", "-q")
	b.write(".gitignore", "*.o\n/build/\n")
	for _, p := range []string{"a.c", "a.o", "t.o", "build/x", "d/y.o", "d/y.c"} {
		b.write(p, p)
	}
	b.git("add", "-f", "t.o")
	r := &repo{top: b.root}
	if err := r.listWithoutGit(); err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]bool{"a.c": false, "a.o": true, "t.o": false, "build": true, "d/y.o": true, "d": false} {
		if got := r.ignores(p, p == "build" || p == "d"); got != want {
			t.Errorf("%s: ignored %t", p, got)
		}
	}
}

func TestFindRoot(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.git("init", "-q")
	b.write("p/cyclops.toml", "")
	b.write("p/q/x", "")
	b.write("r/x", "")
	real, err := filepath.EvalSymlinks(b.root)
	if err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]Place{
		"p/q": {filepath.Join(real, "p"), "q"}, "p": {filepath.Join(real, "p"), ""}, "r": {real, "r"}, "": {real, ""},
	} {
		if got, err := Find(filepath.Join(b.root, dir)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", dir, got, err)
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Skip("no home")
	}
	for _, dir := range []string{"/", home, filepath.Dir(home)} {
		if err := (Place{Root: dir}).Check(); api.KindOf(err) != api.Refused {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if err := (Place{Root: real}).Check(); err != nil {
		t.Error(err)
	}
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte(indexHeader))
	f.Add((&index{git: &gitState{branch: "b", dirty: true, changed: []string{"a", "b/"}, count: 3}, tree: &dir{stat: stat{kind: directory}}}).encode())
	f.Fuzz(func(_ *testing.T, data []byte) {
		decodeIndex(data)
		// Behind a right checksum nothing may run out of bounds either.
		ix := (&index{tree: &dir{stat: stat{kind: directory}}, repos: map[string]*rules{}}).encode()
		decodeIndex(seal(append(ix[:len(ix)-4:len(ix)-4], data...)))
		decodeIndex(seal(append([]byte(indexHeader), data...)))
	})
}
