//go:build linux

package workspace_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/workspace"
)

// source returns text of about that many bytes, which differs with the seed and compresses as source code does.
func source(seed uint64, size int) string {
	r := rand.New(rand.NewPCG(seed, 7))
	var b strings.Builder
	for b.Len() < size {
		fmt.Fprintf(&b, "  assign w%d = r%d[%d:0] & ~mask;\n", r.IntN(1e6), r.IntN(1000), r.IntN(32))
	}
	return b.String()
}

func forest(files, size int) tree {
	tr := make(tree, files)
	for i := range files {
		tr[fmt.Sprintf("lib%02d/block%03d/f%d.v", i/1000, i/20%50, i)] = file(source(uint64(i), size))
	}
	return tr
}

var forests = []struct {
	name        string
	files, size int
}{{"100000x100B", 100_000, 100}, {"15000x18KB", 15_000, 18_000}}

func BenchmarkFirstApply(b *testing.B) {
	for _, f := range forests {
		b.Run(f.name, func(b *testing.B) {
			h := newHost(b, b.TempDir())
			root := h.send(b, forest(f.files, f.size))
			s := h.set(b)
			defer s.Close()
			for b.Loop() {
				if _, err := workspace.Apply(bg, h.request(root, s)); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				workspace.Remove(h.data, "w")
				b.StartTimer()
			}
		})
	}
}

// BenchmarkFilesAlone makes the same files with nothing but the system calls that takes, from one goroutine.
func BenchmarkFilesAlone(b *testing.B) {
	for _, f := range forests {
		b.Run(f.name, func(b *testing.B) {
			text := []byte(source(1, f.size))
			for b.Loop() {
				dir := b.TempDir()
				for i := range f.files {
					sub := fmt.Sprintf("%s/lib%02d/block%03d", dir, i/1000, i/20%50)
					if i%20 == 0 {
						os.MkdirAll(sub, 0o755)
					}
					os.WriteFile(fmt.Sprintf("%s/f%d.v", sub, i), text, 0o644)
				}
				b.StopTimer()
				os.RemoveAll(dir)
				b.StartTimer()
			}
		})
	}
}

func BenchmarkUnchanged(b *testing.B) { benchmarkAgain(b, false) }

func BenchmarkOneFileChanged(b *testing.B) { benchmarkAgain(b, true) }

func benchmarkAgain(b *testing.B, change bool) {
	for _, f := range forests {
		b.Run(f.name, func(b *testing.B) {
			h := newHost(b, b.TempDir())
			tr := forest(f.files, f.size)
			first := h.send(b, tr)
			tr["lib00/block000/f0.v"] = file("changed")
			second := h.send(b, tr)
			s := h.set(b)
			defer s.Close()
			workspace.Apply(bg, h.request(first, s))
			for i := 0; b.Loop(); i++ {
				root := first
				if change && i%2 == 0 {
					root = second
				}
				if _, err := workspace.Apply(bg, h.request(root, s)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
