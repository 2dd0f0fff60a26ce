//go:build linux

package powerfs_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/chaos/powerfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// root and the others are inodes of traces that are written by hand.
const (
	root = iota + 1
	one
	two
	dir
)

// trace makes a trace of operations; a sync stands for its beginning and its end.
func trace(ops ...powerfs.Op) *powerfs.Trace {
	t := new(powerfs.Trace)
	for _, op := range ops {
		switch op.Kind {
		case powerfs.SyncBegin:
			t.Ops = append(t.Ops, op, powerfs.Op{Kind: powerfs.SyncEnd, Inode: op.Inode, Begin: len(t.Ops)})
		case powerfs.SyncFail:
			op.Begin = len(t.Ops)
			t.Ops = append(t.Ops, sync(op.Inode), op)
		default:
			t.Ops = append(t.Ops, op)
		}
	}
	return t
}

func create(inode uint64, name string) powerfs.Op {
	return powerfs.Op{Kind: powerfs.Create, Inode: inode, Dir: root, Name: name, Mode: 0o600}
}

func write(inode uint64, at int64, text string) powerfs.Op {
	return powerfs.Op{Kind: powerfs.Write, Inode: inode, At: at, Data: []byte(text)}
}

func sync(inode uint64) powerfs.Op { return powerfs.Op{Kind: powerfs.SyncBegin, Inode: inode} }

func failedSync(inode uint64) powerfs.Op { return powerfs.Op{Kind: powerfs.SyncFail, Inode: inode} }

func rename(from, to string) powerfs.Op {
	return powerfs.Op{Kind: powerfs.Rename, Dir: root, Name: from, ToDir: root, To: to}
}

func unlink(name string) powerfs.Op {
	return powerfs.Op{Kind: powerfs.Unlink, Dir: root, Name: name}
}

// find reads a directory into one line for each file.
func find(t *testing.T, top string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == top {
			return err
		}
		name, _ := filepath.Rel(top, path)
		switch {
		case d.IsDir():
			name += "/"
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			name += "->" + target
		case d.Type().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name += "=" + string(data)
		}
		all = append(all, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

const seeds = 200

// outcomes returns what different seeds leave behind the whole of a trace.
func outcomes(t *testing.T, tr *powerfs.Trace) map[string]int {
	t.Helper()
	found := map[string]int{}
	for seed := range uint64(seeds) {
		to := t.TempDir()
		if err := tr.Crash(len(tr.Ops), seed).Write(to); err != nil {
			t.Fatal(err)
		}
		found[find(t, to)]++
	}
	return found
}

// old is a file "f" that is durable.
func old(rest ...powerfs.Op) *powerfs.Trace {
	return trace(append([]powerfs.Op{create(one, "f"), write(one, 0, "old"), sync(one), sync(root)}, rest...)...)
}

func TestSeedsFindWhatTheDiskCouldHold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		trace *powerfs.Trace
		all   []string // every outcome, and each of them must be found
	}{
		"all is durable":               {old(), []string{"f=old"}},
		"no fsync of the directory":    {trace(create(one, "f"), write(one, 0, "new"), sync(one)), []string{"", "f=new"}},
		"no fsync of the file":         {trace(create(one, "f"), write(one, 0, "new"), sync(root)), []string{"f=", "f=new", "f=\x00\x00\x00"}},
		"a rename without any fsync":   {old(create(two, "t"), write(two, 0, "new"), rename("t", "f")), []string{"f=old", "f=old t=", "f=old t=new", "f=old t=\x00\x00\x00", "f=", "f=new", "f=\x00\x00\x00"}},
		"a rename without a directory": {old(create(two, "t"), write(two, 0, "new"), sync(two), rename("t", "f")), []string{"f=old", "f=old t=new", "f=new"}},
		"a rename as it should be":     {old(create(two, "t"), write(two, 0, "new"), sync(two), rename("t", "f"), sync(root)), []string{"f=new"}},
		"a write behind the fsync":     {old(write(one, 3, "er")), []string{"f=old", "f=older", "f=old\x00\x00"}},
		"a second rename alone": {
			trace(create(one, "a"), sync(one), sync(root), rename("a", "b"), rename("b", "c")), []string{"a=", "b=", "c="},
		},
		"a removal": {old(unlink("f")), []string{"", "f=old"}},
		"a new file under a removed name": {
			old(unlink("f"), create(two, "f"), write(two, 0, "new"), sync(two)), []string{"", "f=old", "f=new"},
		},
		"a directory whose name is not durable": {
			trace(powerfs.Op{Kind: powerfs.Mkdir, Inode: dir, Dir: root, Name: "d", Mode: 0o755},
				powerfs.Op{Kind: powerfs.Create, Inode: one, Dir: dir, Name: "f", Mode: 0o600}, sync(one), sync(dir)),
			[]string{"", "d/ d/f="},
		},
		"a sync that failed and one behind it": {
			old(write(one, 0, "new"), failedSync(one), sync(one)), []string{"f=old", "f=new"},
		},
		"written again behind a sync that failed": {
			old(write(one, 0, "new"), failedSync(one), write(one, 0, "new"), sync(one)), []string{"f=new"},
		},
		"a name whose sync failed": {
			trace(create(one, "f"), sync(one), failedSync(root)), []string{"", "f="},
		},
		"a truncate": {old(powerfs.Op{Kind: powerfs.Truncate, Inode: one}), []string{"f=old", "f=", "f=\x00\x00\x00"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := outcomes(t, c.trace)
			for _, want := range c.all {
				if found[want] == 0 {
					t.Errorf("never found %q", want)
				}
				delete(found, want)
			}
			for other := range found {
				t.Errorf("found %q, which the disk cannot hold", other)
			}
		})
	}
}

func TestWritesAreTorn(t *testing.T) {
	t.Parallel()
	const size = 3 * 4096
	tr := trace(create(one, "f"), write(one, 0, strings.Repeat("a", size)), sync(one), sync(root), write(one, 0, strings.Repeat("b", size)))
	var inSectors, inPages, inPrefixes bool
	for outcome := range outcomes(t, tr) {
		data := strings.TrimPrefix(outcome, "f=")
		if len(data) != size {
			t.Fatalf("the file has %d bytes", len(data))
		}
		for i := 0; i < size; i += 512 {
			if data[i:i+512] != strings.Repeat(data[i:i+1], 512) {
				t.Fatal("a sector is torn")
			}
		}
		pages := strings.Count(strings.ReplaceAll(strings.ReplaceAll(data, strings.Repeat("b", 4096), "B"), strings.Repeat("a", 4096), "A"), "")
		torn := strings.Contains(data, "ab") && strings.Contains(data, "ba")
		inSectors = inSectors || torn && pages > 4
		inPages = inPages || torn && pages == 4
		inPrefixes = inPrefixes || strings.Contains(data, "ba") && !strings.Contains(data, "ab")
	}
	if !inSectors || !inPages || !inPrefixes {
		t.Errorf("sectors %v, pages %v, prefixes %v", inSectors, inPages, inPrefixes)
	}
}

// An fsync promises nothing of what was written while it ran, and nothing at all before it returns.
func TestASyncCoversWhatCameBeforeIt(t *testing.T) {
	t.Parallel()
	tr := &powerfs.Trace{Ops: []powerfs.Op{
		create(one, "f"), {Kind: powerfs.SyncBegin, Inode: root}, {Kind: powerfs.SyncEnd, Inode: root, Begin: 1},
		write(one, 0, "a"), {Kind: powerfs.SyncBegin, Inode: one}, write(one, 1, "b"), {Kind: powerfs.SyncEnd, Inode: one, Begin: 4},
	}}
	if found := outcomes(t, tr); found["f="] > 0 || found["f=a"] == 0 || found["f=ab"] == 0 {
		t.Errorf("behind it: %v", found)
	}
	tr.Ops = tr.Ops[:6]
	if found := outcomes(t, &powerfs.Trace{Ops: tr.Ops}); found["f="] == 0 {
		t.Errorf("while it runs: %v", found)
	}
}

func TestTheSameSeedGivesTheSameState(t *testing.T) {
	t.Parallel()
	tr := old(create(two, "t"), write(two, 0, strings.Repeat("new", 5000)), rename("t", "f"), write(one, 2, "x"))
	file := filepath.Join(t.TempDir(), "trace")
	if err := tr.Save(file); err != nil {
		t.Fatal(err)
	}
	again, err := powerfs.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again.Ops, tr.Ops) {
		t.Fatal("the trace is another one when it was saved and loaded")
	}
	for n := range len(tr.Ops) + 1 {
		for seed := range uint64(20) {
			a, b := t.TempDir(), t.TempDir()
			if err := errors.Join(tr.Crash(n, seed).Write(a), again.Crash(n, seed).Write(b)); err != nil {
				t.Fatal(err)
			}
			if find(t, a) != find(t, b) {
				t.Fatalf("n %d seed %d: %.60q and %.60q", n, seed, find(t, a), find(t, b))
			}
		}
	}
}

// mount mounts a file system, or skips the test where that cannot be.
func mount(t *testing.T, o powerfs.Options) (f *powerfs.FS, at, backing string) {
	t.Helper()
	at, backing = t.TempDir(), t.TempDir()
	f, err := powerfs.Mount(backing, at, o)
	if errors.Is(err, powerfs.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Unmount(); err != nil {
			t.Error(err)
		}
	})
	return f, at, backing
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func syncAll(t *testing.T, top string) {
	t.Helper()
	must(t, filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type() == fs.ModeSymlink {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	}))
}

func TestWhatWasSyncedIsThere(t *testing.T) {
	t.Parallel()
	f, at, backing := mount(t, powerfs.Options{})
	in := func(name string) string { return filepath.Join(at, name) }
	must(t, os.MkdirAll(in("a/b"), 0o755), os.WriteFile(in("a/f"), bytes.Repeat([]byte("0123456789"), 30000), 0o600),
		os.Symlink("f", in("a/l")), os.Link(in("a/f"), in("a/b/g")), os.Rename(in("a/f"), in("a/b/h")),
		os.WriteFile(in("gone"), []byte("gone"), 0o600), os.Remove(in("gone")), os.Truncate(in("a/b/g"), 12345))
	log, err := os.OpenFile(in("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	must(t, err)
	for range 3 {
		_, err = log.WriteString("line\n")
		must(t, err)
	}
	must(t, unix.Fallocate(int(log.Fd()), 0, 0, 64), log.Chmod(0o400), log.Close())
	must(t, os.WriteFile(in("log2"), []byte("before"), 0o600), os.WriteFile(in("log2"), []byte("x"), 0o600))
	syncAll(t, at)
	tr := f.Trace()
	for seed := range uint64(50) {
		to := t.TempDir()
		must(t, tr.Crash(len(tr.Ops), seed).Write(to))
		if got, want := find(t, to), find(t, backing); got != want {
			t.Fatalf("%.200q, not %.200q", got, want)
		}
		if info, err := os.Stat(filepath.Join(to, "log")); err != nil || info.Mode() != 0o400 {
			t.Fatal(info.Mode(), err)
		}
	}
}

// The kernel names no open file when it sets the times of one that has no name any more.
func TestFilesWithoutANameCanBeChanged(t *testing.T) {
	t.Parallel()
	_, at, _ := mount(t, powerfs.Options{})
	f, err := os.Create(filepath.Join(at, "f"))
	must(t, err)
	defer f.Close()
	must(t, os.Remove(f.Name()), f.Chmod(0o400), f.Truncate(10), unix.Futimes(int(f.Fd()), make([]unix.Timeval, 2)))
	if info, err := f.Stat(); err != nil || info.Size() != 10 || info.ModTime().Unix() != 0 {
		t.Error(info, err)
	}
}

// SQLite shares its index of the log through such a mapping.
func TestFilesCanBeMapped(t *testing.T) {
	t.Parallel()
	_, at, backing := mount(t, powerfs.Options{})
	must(t, os.WriteFile(filepath.Join(at, "f"), make([]byte, 4096), 0o600))
	f, err := os.OpenFile(filepath.Join(at, "f"), os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	memory, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	must(t, err)
	copy(memory, "mapped")
	must(t, unix.Msync(memory, unix.MS_SYNC), unix.Munmap(memory))
	if data, err := os.ReadFile(filepath.Join(backing, "f")); err != nil || string(data[:6]) != "mapped" {
		t.Errorf("%q %v", data[:6], err)
	}
}

func TestOneSyncFails(t *testing.T) {
	t.Parallel()
	_, at, _ := mount(t, powerfs.Options{Ledger: "ledger", FailSync: 2})
	f, err := os.Create(filepath.Join(at, "f"))
	must(t, err)
	defer f.Close()
	must(t, f.Sync(), f.Sync(), os.WriteFile(filepath.Join(at, "ledger"), []byte("begun\n"), 0o600), f.Sync())
	if err := f.Sync(); !errors.Is(err, unix.EIO) {
		t.Errorf("the second: %v", err)
	}
	must(t, f.Sync())
}

func TestLinesOfTheLedgerAreMarks(t *testing.T) {
	t.Parallel()
	f, at, _ := mount(t, powerfs.Options{Ledger: "ledger"})
	long := strings.Repeat("long", 100000)
	must(t, os.WriteFile(filepath.Join(at, "ledger"), []byte("first\n"+long+"\n"), 0o600), os.Mkdir(filepath.Join(at, "d"), 0o700))
	tr := f.Trace()
	var lines []string
	tr.Marks(func(n int, line string) {
		if tr.Ops[n].Kind != powerfs.Mark || tr.Ops[n+1].Kind == powerfs.Mark && line == long {
			t.Errorf("a line ends at operation %d", n)
		}
		lines = append(lines, line)
	})
	if !reflect.DeepEqual(lines, []string{"first", long}) {
		t.Errorf("%.40q", lines)
	}
}
