package scan

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cyclops-fpga/cyclops/remote/place"
)

// manyFiles makes a tree of n files, ten to a directory, under git.
func manyFiles(b testing.TB, n int) *bed {
	t := newBed(b)
	for i := range n / 10 {
		dir := filepath.Join(t.root, fmt.Sprintf("d%02d/e%03d", i%50, i/50))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for j := range 10 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file%d.v", j)), fmt.Appendf(nil, "module m%d_%d; endmodule\n", i, j), 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	t.git("init", "-q")
	t.git("add", "-A")
	t.git("commit", "-qm", "x")
	waitTick(b)
	return t
}

const benchFiles = 100_000

func BenchmarkScan100k(b *testing.B) {
	t := manyFiles(b, benchFiles)
	take := func(b *testing.B, dirs place.Dirs) *Tree {
		tree, err := Take(context.Background(), Options{Root: t.root, Dirs: dirs})
		if err != nil || tree.Files != benchFiles {
			b.Fatal(tree, err)
		}
		return tree
	}
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			take(b, place.Dirs{Cache: b.TempDir()})
		}
	})
	take(b, t.dirs)
	b.Run("unchanged", func(b *testing.B) {
		for b.Loop() {
			if read := take(b, t.dirs).Read; read != 0 {
				b.Fatal(read)
			}
		}
	})
	b.Run("one-edit", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			t.write("d00/e000/file0.v", fmt.Sprint("module ", i))
			take(b, t.dirs)
		}
	})
	b.Run("one-new", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			t.write("d00/e000/new.v", "")
			if err := os.Remove(filepath.Join(t.root, "d00/e000/new.v")); err != nil {
				b.Fatal(err)
			}
			take(b, t.dirs)
		}
	})
	b.Run("git-status", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command("git", "-C", t.root, "status", "--porcelain").Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
