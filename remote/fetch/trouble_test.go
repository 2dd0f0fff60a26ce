//go:build linux

package fetch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// onTmpfs has b's tree on a file system of its own of so many bytes.
func (b *bed) onTmpfs(size int) {
	b.Helper()
	if os.Getuid() != 0 {
		b.Skip("a small file system needs root")
	}
	if err := unix.Mount("cyclops", b.root, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		b.Skipf("no tmpfs may be mounted: %v", err)
	}
	b.Cleanup(func() {
		if err := unix.Unmount(b.root, 0); err != nil {
			b.Error(err)
		}
	})
}

func (b *bed) remount(flags uintptr, size int) {
	b.Helper()
	if err := unix.Mount("cyclops", b.root, "tmpfs", unix.MS_REMOUNT|flags, fmt.Sprintf("size=%d", size)); err != nil {
		b.Fatal(err)
	}
}

func failed(r *Report) string {
	var list []string
	for _, f := range r.Failed {
		list = append(list, fmt.Sprintf("%s: %v", f.Name, f.Err))
	}
	return strings.Join(list, "; ")
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.onTmpfs(12 << 20)
	b.artifact("a/huge", strings.Repeat("h", 40<<20))
	b.artifact("a/fits", strings.Repeat("f", 5<<20))
	b.artifact("a/small", "small")
	report, err := Fetch(t.Context(), b.request(), Local(b.job))
	if err != nil || failed(report) != "a/huge: no space is left on the disk of this machine: 40.0 MiB more would be written" || report.Files != 2 {
		t.Fatalf("%v, %d files, failed %s", err, report.Files, failed(report))
	}
	var e *api.Error
	if !errors.As(report.Err(), &e) || e.Kind != api.Undelivered || e.Hint != "free some, then cyclops fetch "+jobID+" goes on where this stopped" {
		t.Errorf("%#v", e)
	}
	b.remount(0, 80<<20)
	if report := b.fetch(b.request()); report.Files != 1 || report.Same != 2 {
		t.Errorf("with room: %+v", report)
	}
}

// filling is a source that has somebody else fill the disk after so many reads.
type filling struct {
	Source
	left  *atomic.Int64
	reads *atomic.Int64
	fill  func()
}

func (s filling) Open(ctx context.Context, p string) (File, error) {
	f, err := s.Source.Open(ctx, p)
	return fillingFile{f, s}, err
}

type fillingFile struct {
	File
	s filling
}

func (f fillingFile) ReadAt(p []byte, off int64) (int, error) {
	if f.s.left.Add(-1) == 0 {
		f.s.fill()
	}
	f.s.reads.Add(1)
	return f.File.ReadAt(p, off)
}

func TestDiskFillsMeanwhile(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.onTmpfs(64 << 20)
	const chunks = 10
	b.artifact("big", strings.Repeat("b", chunks*chunkSize))
	b.artifact("small", "s")
	src := filling{Local(b.job), new(atomic.Int64), new(atomic.Int64), func() { b.remount(0, 20<<20) }}
	src.left.Store(4)
	report, err := Fetch(t.Context(), b.request(), src)
	if err != nil || failed(report) != "big: no space is left on the disk of this machine" || report.Files != 1 {
		t.Fatalf("%v, %d files, failed %s", err, report.Files, failed(report))
	}
	first := src.reads.Load()
	b.remount(0, 64<<20)
	report, err = Fetch(t.Context(), b.request(), src)
	if err != nil || report.Files != 1 || len(b.leftovers()) != 0 {
		t.Fatalf("%v, %+v", err, report)
	}
	if n := src.reads.Load() - first; n > chunks-2 {
		t.Errorf("%d of %d chunks were read again", n, chunks)
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.onTmpfs(1 << 20)
	b.artifact("f", "x")
	b.remount(unix.MS_RDONLY, 1<<20)
	report, err := Fetch(t.Context(), b.request(), Local(b.job))
	if err != nil || failed(report) != "f: it cannot be written here: read-only file system" {
		t.Errorf("%v, failed %s", err, failed(report))
	}
}

// meddled fetches one file onto an input of the job while the user does something at the last moment.
func meddled(b *bed, name string, meddle func()) *Report {
	b.Helper()
	b.artifact(name, "new")
	b.write(name, "input")
	r := b.request()
	r.Pinned = func(_ string, sum manifest.Sum, _ string) bool { return sum == manifest.SumOf([]byte("input")) }
	p, err := New(r)
	if err != nil {
		b.Fatal(err)
	}
	var once sync.Once
	p.beforeRename = func(string) { once.Do(meddle) }
	if err := p.Rest(b.Context(), Local(b.job)); err != nil {
		b.Fatal(err)
	}
	report, err := p.Close()
	if err != nil || len(b.leftovers()) > 0 {
		b.Errorf("%v, left %v", err, b.leftovers())
	}
	return report
}

func (b *bed) must(errs ...error) {
	b.Helper()
	if err := errors.Join(errs...); err != nil {
		b.Fatal(err)
	}
}

func TestReplacedAtTheLastMoment(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	for what, put := range map[string]func(name string) error{
		"symlink":   func(name string) error { return os.Symlink(filepath.Join(outside, "x"), name) },
		"directory": func(name string) error { return os.Mkdir(name, 0o755) },
		"fifo":      func(name string) error { return unix.Mkfifo(name, 0o644) },
		"socket":    func(name string) error { return unix.Mknod(name, unix.S_IFSOCK|0o644, 0) },
		"full directory": func(name string) error {
			return errors.Join(os.Mkdir(name, 0o755), os.WriteFile(filepath.Join(name, "x"), nil, 0o644))
		},
	} {
		b := newBed(t)
		full := filepath.Join(b.root, "f")
		var before fs.FileInfo
		report := meddled(b, "f", func() {
			b.must(os.Remove(full), put(full))
			before, _ = os.Lstat(full)
		})
		after, err := os.Lstat(full)
		if err != nil || !os.SameFile(before, after) || len(report.Conflicts) != 1 {
			t.Errorf("%s: %v, %+v", what, err, report)
		}
		b.want("f.cyclops-"+jobID[:8], "new")
	}
	if list, _ := os.ReadDir(outside); len(list) > 0 {
		t.Error("something came outside")
	}
}

func TestParentReplaced(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	b := newBed(t)
	dir := filepath.Join(b.root, "build")
	report := meddled(b, "build/sub/f", func() { b.must(os.Rename(dir, dir+".old"), os.Symlink(outside, dir)) })
	if len(report.Failed) != 1 || report.Files != 0 || !strings.Contains(report.Failed[0].Err.Error(), "build is a symlink here") {
		t.Errorf("by a symlink: %+v", report)
	}
	b.want("build.old/sub/f", "input")
	if list, _ := os.ReadDir(outside); len(list) > 0 {
		t.Errorf("%v came outside", list)
	}
	b = newBed(t)
	dir = filepath.Join(b.root, "build")
	report = meddled(b, "build/sub/f", func() { b.must(os.Rename(dir, dir+".old"), os.Mkdir(dir, 0o755)) })
	if report.Files != 1 {
		t.Errorf("by another directory: %+v", report)
	}
	b.want("build.old/sub/f", "input")
	b.want("build/sub/f", "new")
}

// An editor that saves by rename while a fetch replaces the file must never lose what it saved.
func TestEditorRaces(t *testing.T) {
	t.Parallel()
	const rounds = 300
	b := newBed(t)
	b.artifact("f", "new")
	r := b.request()
	r.Pinned = func(_ string, sum manifest.Sum, _ string) bool { return sum == manifest.SumOf([]byte("input")) }
	full := filepath.Join(b.root, "f")
	placed := 0
	for i := range rounds {
		b.write("f", "input")
		b.must(os.WriteFile(full+".swp", fmt.Appendf(nil, "saved %d", i), 0o644))
		var editor sync.WaitGroup
		p, err := New(r)
		if err != nil {
			t.Fatal(err)
		}
		p.beforeRename = func(string) {
			editor.Go(func() {
				for range i % 30 * 100 { // a little later each time: the moments between are what is tried
					_ = i
				}
				_ = os.Rename(full+".swp", full)
			})
		}
		err = p.Rest(t.Context(), Local(b.job))
		editor.Wait()
		report, closed := p.Close()
		if err != nil || closed != nil {
			t.Fatal(err, closed)
		}
		placed += report.Files - len(report.Conflicts)
		if _, err := os.Lstat(full + ".swp"); err == nil {
			b.must(os.Rename(full+".swp", full)) // the fetch found all there and had nothing to replace
		}
		b.want("f", fmt.Sprint("saved ", i))
		left, _ := filepath.Glob(filepath.Join(b.root, "f.cyclops-*"))
		for _, l := range left {
			b.must(os.Remove(l))
		}
	}
	t.Logf("the fetch was first %d times of %d", placed, rounds)
}

func TestReadOnlyModeAndLinks(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.artifact("ro", "x").Mode = 0o444
	b.artifact("bin/tool", "x").Mode = 0o555
	b.artifact("big", strings.Repeat("x", smallFile+1)).Mode = 0o400
	b.artifact("unknown", "x").Mode = 0
	b.link("bin/link", "tool")
	b.fetch(b.request())
	for name, want := range map[string]fs.FileMode{"ro": 0o400, "bin/tool": 0o500, "big": 0o400, "unknown": 0o600} {
		if info, err := os.Stat(filepath.Join(b.root, name)); err != nil || info.Mode().Perm()&0o700 != want {
			t.Errorf("%s: %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
	if target, err := os.Readlink(filepath.Join(b.root, "bin/link")); err != nil || target != "tool" {
		t.Errorf("link to %s, %v", target, err)
	}
	if report := b.fetch(b.request()); report.Same != 5 {
		t.Errorf("again: %+v", report)
	}
}
