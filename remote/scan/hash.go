package scan

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// attempts is how often a file that changes while it is read is read before it is named.
const attempts = 3

// reading is one file to read and what came of it.
type reading struct {
	d    *dir
	name string
	stat stat
	sum  manifest.Sum
	gone bool
}

// unread collects the files below d whose digest is not known.
func unread(d *dir, into []reading) []reading {
	for i := range d.entries {
		e := &d.entries[i]
		switch {
		case e.dir != nil:
			into = unread(e.dir, into)
		case !e.known:
			into = append(into, reading{d: d, name: e.name})
		}
	}
	return into
}

// hash reads files on every core and enters their digests.
func (s *scanner) hash(ctx context.Context, jobs []reading) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range max(1, min(len(jobs), runtime.GOMAXPROCS(0)*2)) {
		workers.Go(func() {
			buf := make([]byte, 256<<10)
			for i := next.Add(1) - 1; i < int64(len(jobs)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				if err := s.readOne(ctx, &jobs[i], buf); err != nil {
					stop(err)
				}
			}
		})
	}
	workers.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	for i := range jobs {
		s.enter(&jobs[i])
	}
	return nil
}

// enter puts what was read into the tree.
func (s *scanner) enter(r *reading) {
	e := r.d.find(r.name)
	if r.gone {
		i := 0
		for r.d.entries[i].name != r.name {
			i++
		}
		r.d.entries = append(r.d.entries[:i], r.d.entries[i+1:]...)
		r.d.racy, r.d.dirty = true, true
		return
	}
	r.d.dirty = r.d.dirty || e.sum != r.sum || e.stat.kind != r.stat.kind || e.stat.size != r.stat.size
	e.stat, e.sum, e.known, e.racy = r.stat, r.sum, true, r.stat.racy(s.started)
}

// readOne reads a file until nobody changed it meanwhile.
func (s *scanner) readOne(ctx context.Context, r *reading, buf []byte) error {
	path := filepath.Join(s.root, filepath.FromSlash(r.d.join(r.name)))
	for range attempts {
		stable, err := s.digest(ctx, path, r, buf)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ELOOP):
			r.gone = true
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return unreadable(r.d.join(r.name), err)
		case stable:
			return nil
		}
	}
	return Changing(r.d.join(r.name))
}

// Changing says that a file kept changing while it was read.
func Changing(path string) error {
	return api.Errorf(api.Changing, "wait until nothing writes to it, or list it in "+IgnoreName, "unable to pin %s: it changes while it is read", path)
}

// digest reads a file once; false when it changed meanwhile.
func (s *scanner) digest(ctx context.Context, path string, r *reading, buf []byte) (bool, error) {
	f, err := openFile(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	before, err := fstat(f)
	if err != nil {
		return false, err
	}
	if k := before.kind; k != regular && k != executable {
		r.gone = true
		return true, nil
	}
	h := sha256.New()
	var n int64
	for err == nil && ctx.Err() == nil {
		var got int
		got, err = f.Read(buf)
		h.Write(buf[:got])
		n += int64(got)
		s.hashed.Add(int64(got))
	}
	if !errors.Is(err, io.EOF) {
		return false, errors.Join(err, ctx.Err())
	}
	after, err := lstat(path)
	if err != nil {
		return false, err
	}
	r.stat, r.sum = after, manifest.Sum(h.Sum(nil))
	if runtime.GOOS == "windows" {
		r.stat.kind = r.d.find(r.name).stat.kind
	}
	return sameFile(before, after) && n == after.size, nil
}

// sameFile leaves out the kind, which Windows tells by git's index.
func sameFile(a, b stat) bool {
	a.kind, b.kind = 0, 0
	return a == b
}
