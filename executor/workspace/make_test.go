//go:build linux

package workspace_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cyclops-fpga/cyclops/executor/workspace"
)

const makefile = `
PARTS = build/0.o build/1.o build/2.o
build/all: $(PARTS)
	cat $(PARTS) > $@
build/%.o: src/%.v lib/common.v
	mkdir -p build
	cat $^ > $@
`

var sources = []string{"src/0.v", "src/1.v", "src/2.v", "lib/common.v"}

// built is what a build from nothing gives.
func built(tr tree) string {
	out := ""
	for _, s := range sources[:3] {
		out += tr[s].text + tr["lib/common.v"].text
	}
	return out
}

// spoil alters an input behind the client's back, at times with an old time.
func spoil(t *rapid.T, ws, name string) {
	path := filepath.Join(ws, name)
	switch rapid.IntRange(0, 4).Draw(t, "spoil") {
	case 4: // same size, same mtime
		if fi, err := os.Stat(path); err == nil {
			os.WriteFile(path, []byte("S\n"), 0o644)
			os.Chtimes(path, fi.ModTime(), fi.ModTime())
		}
	case 0:
		os.Remove(path)
	case 1:
		now := time.Now()
		os.Chtimes(path, now, now)
	case 2:
		os.WriteFile(path, []byte("S\n"), 0o644)
		os.Chtimes(path, time.Unix(1e9, 0), time.Unix(1e9, 0))
	default:
		os.WriteFile(path, []byte("S\n"), 0o644)
	}
}

// The point of a kept workspace is that make works there as it does at home: whatever was edited, taken
// back or altered by a job, also within one tick of the clock, what make leaves is a build of the client's tree.
func TestMakeNeverMissesAnInput(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("make"); err != nil {
		t.Fatal("make is needed: ", err)
	}
	base := t.TempDir()
	var n atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		h := newHost(t, filepath.Join(base, fmt.Sprint(n.Add(1))))
		want := tree{"Makefile": file(makefile)}
		for _, s := range sources {
			want[s] = file("0\n")
		}
		for range rapid.IntRange(1, 5).Draw(t, "runs") {
			for range rapid.IntRange(0, 2).Draw(t, "edits") {
				name := rapid.SampledFrom(sources).Draw(t, "edit")
				want[name] = file(fmt.Sprintln(rapid.IntRange(0, 2).Draw(t, "text")))
			}
			if rapid.IntRange(0, 4).Draw(t, "crash") == 0 {
				interrupt(t, h, want)
			}
			r := h.apply(t, want)
			for range rapid.IntRange(0, 1).Draw(t, "spoils before") {
				spoil(t, r.Path, rapid.SampledFrom(sources).Draw(t, "which"))
			}
			if len(read(t, r.Path)) > 0 && rapid.Bool().Draw(t, "job builds what it spoilt") {
				runMake(r.Path)
			}
			r = h.apply(t, want)
			if out, err := runMake(r.Path); err != nil {
				t.Fatalf("make: %v\n%s", err, out)
			}
			if got, _ := os.ReadFile(filepath.Join(r.Path, "build/all")); string(got) != built(want) {
				t.Fatalf("make left %q, a new build would give %q", got, built(want))
			}
			for range rapid.IntRange(0, 1).Draw(t, "spoils after") {
				spoil(t, r.Path, rapid.SampledFrom(sources).Draw(t, "which"))
			}
		}
	})
}

func runMake(dir string) ([]byte, error) {
	cmd := exec.Command("make", "-s")
	cmd.Dir = dir
	return cmd.CombinedOutput()
}

func TestStampsMoveOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for range 50 {
		os.WriteFile(path, nil, 0o644)
		before, _ := os.Stat(path)
		at, err := workspace.Stamp(dir)
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile(path, nil, 0o644)
		after, _ := os.Stat(path)
		if !at.After(before.ModTime()) || after.ModTime().Before(at) {
			t.Fatalf("written at %v, stamp %v, written again at %v", before.ModTime(), at, after.ModTime())
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}
