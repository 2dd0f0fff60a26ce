package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
	"github.com/cyclops-fpga/cyclops/remote/retry"
)

const (
	smallFile   = 4 << 20  // bytes; up to here a file is fetched whole
	inFlight    = 64 << 20 // bytes of small files in memory at once
	minWorkers  = 32       // small files under way at once: what a long line needs is requests, not bandwidth
	perChannel  = 16
	maxParallel = 128
)

func newFlags(n int) []atomic.Bool { return make([]atomic.Bool, n) }

func fromSlash(p string) string { return filepath.FromSlash(p) }

// Put places one artifact that the host pushes. Its bytes are read whole even when it is not wanted, so that the stream stays in step.
// The error is that of r; what else goes wrong is in the report, and Rest tries again.
func (p *Placer) Put(ctx context.Context, name string, r io.Reader) error {
	i, ok := p.byName[name]
	if !ok || p.wanted[i].Kind == manifest.KindSymlink || !p.taken[i].CompareAndSwap(false, true) {
		_, err := io.Copy(io.Discard, r)
		return err
	}
	err := p.pushed(p.wanted[i], r)
	if _, rest := io.Copy(io.Discard, r); rest != nil {
		p.taken[i].Store(false)
		return rest
	}
	var blocked errBlocked
	if err != nil && !errors.As(err, &blocked) {
		p.taken[i].Store(false)
		return ctx.Err()
	}
	p.end(name, err)
	return ctx.Err()
}

func (p *Placer) pushed(a manifest.Artifact, r io.Reader) error {
	in, done, err := p.dir(a.Name)
	if err != nil {
		return err
	}
	defer done()
	temp := p.ownTemp(a)
	f, err := create(in, temp, a)
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(r, a.Size+1))
	if err = errors.Join(err, f.Close()); err == nil {
		err = verify(a, n, manifest.Sum(h.Sum(nil)))
	}
	if err != nil {
		return errors.Join(err, in.Remove(temp))
	}
	p.bytes.Add(n)
	p.stamp(in, temp, a)
	return p.commit(in, temp, a)
}

func verify(a manifest.Artifact, n int64, got manifest.Sum) error {
	if n != a.Size || got.Digest() != a.Digest {
		return api.Errorf(api.Corrupt, "", "its bytes are not those that the manifest lists")
	}
	return nil
}

// create makes the file that an artifact is written to. The umask applies, as to a file that a local run makes.
func create(in *os.Root, temp string, a manifest.Artifact) (*os.File, error) {
	if err := failpoint.At(failpoint.ClientArtifact); err != nil {
		return nil, err
	}
	perm := fs.FileMode(a.Mode&0o777) | 0o600
	f, err := in.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
	if errors.Is(err, fs.ErrExist) {
		if err = in.Remove(temp); err == nil {
			f, err = in.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
		}
	}
	return f, err
}

// stamp gives a finished file the time at which the job wrote it, by this machine's clock and never in the future: make would
// take a file from the future for up to date for ever. What the job made read-only becomes it now.
func (p *Placer) stamp(in *os.Root, temp string, a manifest.Artifact) {
	if a.Mode != 0 && a.Mode&0o200 == 0 {
		if info, err := in.Lstat(temp); err == nil {
			_ = in.Chmod(temp, info.Mode().Perm()&(fs.FileMode(a.Mode)|0o400))
		}
	}
	t := p.localTime(a)
	if t.IsZero() {
		return
	}
	// A file system that keeps no such times is no reason to lose the output.
	_ = in.Chtimes(temp, t, t)
}

// Rest fetches what was not pushed: files side by side, then symlinks. A cancelled ctx is an error, and a line that is gone
// for good; the next fetch goes on from there.
func (p *Placer) Rest(ctx context.Context, src Source) error {
	var small, large, links []int
	for i := range p.wanted {
		switch a := &p.wanted[i]; {
		case p.taken[i].Load():
		case a.Kind == manifest.KindSymlink:
			links = append(links, i)
		case a.Size <= smallFile:
			small = append(small, i)
		default:
			large = append(large, i)
		}
	}
	line := &verdict{}
	p.each(ctx, line, small, p.smallWorkers(src), func(a manifest.Artifact) error { return p.small(ctx, src, a) })
	p.each(ctx, line, large, 1, func(a manifest.Artifact) error { return p.large(ctx, src, a) })
	p.each(ctx, line, links, 1, p.link)
	if err := line.why(); err != nil && ctx.Err() == nil {
		n := p.Progress()
		return api.Errorf(api.Undelivered, "cyclops fetch "+p.req.Manifest.Job+" goes on where this stopped", "%d of %d outputs did not come: %w", n.TotalFiles-n.Files, n.TotalFiles, err)
	}
	return ctx.Err()
}

// verdict is why nothing more can be had of the host, once one file has found out.
type verdict struct{ err atomic.Pointer[error] }

func (v *verdict) why() error {
	if err := v.err.Load(); err != nil {
		return *err
	}
	return nil
}

func (p *Placer) smallWorkers(src Source) int {
	return min(max(minWorkers, perChannel*src.Width()), maxParallel)
}

// each settles the artifacts at those indexes, so many at a time, until the line is gone.
func (p *Placer) each(ctx context.Context, line *verdict, list []int, workers int, fn func(manifest.Artifact) error) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(workers, len(list)) {
		group.Go(func() {
			for n := next.Add(1) - 1; n < int64(len(list)) && ctx.Err() == nil && line.why() == nil; n = next.Add(1) - 1 {
				i := list[n]
				if !p.taken[i].CompareAndSwap(false, true) {
					continue
				}
				err := p.insist(p.wanted[i], fn)
				if retry.Broken(err) {
					line.err.CompareAndSwap(nil, &err)
					p.taken[i].Store(false)
				} else if ctx.Err() == nil || err == nil {
					p.end(p.wanted[i].Name, err)
				}
			}
		})
	}
	group.Wait()
}

// insist begins again when the directory that a file goes to was exchanged.
func (p *Placer) insist(a manifest.Artifact, fn func(manifest.Artifact) error) (err error) {
	for range tries {
		if err = fn(a); !errors.Is(err, errMoved) {
			break
		}
		p.forget(path.Dir(a.Name))
	}
	return err
}

// small fetches a file that fits into memory.
func (p *Placer) small(ctx context.Context, src Source, a manifest.Artifact) error {
	in, done, err := p.dir(a.Name)
	if err != nil {
		return err
	}
	defer done()
	if ok, err := p.already(in, a); ok || err != nil {
		return err
	}
	if err := p.memory.Acquire(ctx, a.Size); err != nil {
		return err
	}
	defer p.memory.Release(a.Size)
	data, err := read(ctx, src, a)
	if err != nil {
		return err
	}
	temp := p.ownTemp(a)
	f, err := create(in, temp, a)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, bytes.NewReader(data))
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, in.Remove(temp))
	}
	p.bytes.Add(a.Size)
	p.stamp(in, temp, a)
	return p.commit(in, temp, a)
}

// already tells whether nothing need be fetched.
func (p *Placer) already(in *os.Root, a manifest.Artifact) (bool, error) {
	ok, err := p.settled(in, a)
	if ok {
		p.bytes.Add(a.Size)
		p.note(func(r *Report) { r.Same++ })
	}
	return ok, err
}

// read returns the verified bytes of a small file.
func read(ctx context.Context, src Source, a manifest.Artifact) ([]byte, error) {
	data := make([]byte, a.Size)
	if a.Size > 0 {
		f, err := src.Open(ctx, a.Path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		n, err := f.ReadAt(data, 0)
		if err != nil && !(errors.Is(err, io.EOF) && n == len(data)) {
			return nil, readFailed(a, err)
		}
	}
	return data, verify(a, int64(len(data)), manifest.SumOf(data))
}

func readFailed(a manifest.Artifact, err error) error {
	if errors.Is(err, io.EOF) {
		return api.Errorf(api.Corrupt, "", "it is shorter on the host than the %d bytes that the manifest lists", a.Size)
	}
	return err
}
