package fetch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// maxLive is how large a file may be that is fetched anew each time it grows.
const maxLive = int64(1) << 30

// Live puts files of a job that runs in place, again each time they have changed. What it puts there the fetch at the
// job's end replaces. Close it before that one begins. It is used by one goroutine.
type Live struct {
	p      *Placer
	seen   map[string]api.FileInfo
	warned map[string]bool
	warn   func(format string, args ...any)
}

// NewLive prepares for the job of r.Manifest, of which only the id is needed. warn is told once of each file that cannot be
// had, and why.
func NewLive(r Request, warn func(format string, args ...any)) (*Live, error) {
	p, err := New(r)
	if err != nil {
		return nil, err
	}
	return &Live{p: p, seen: map[string]api.FileInfo{}, warned: map[string]bool{}, warn: warn}, nil
}

// Close ends it.
func (l *Live) Close() error {
	_, err := l.p.Close()
	return err
}

// Take fetches what has changed since the last time. src opens files of the workspace.
func (l *Live) Take(ctx context.Context, src Source, files []api.FileInfo) {
	for _, f := range files {
		before, ok := l.seen[f.Name]
		if ctx.Err() != nil || l.warned[f.Name] || ok && before.Size == f.Size && before.Modified.Equal(f.Modified) {
			continue
		}
		err := l.take(ctx, src, f)
		if err == nil {
			l.seen[f.Name] = f
		} else if ctx.Err() == nil && !errors.Is(err, errGone) {
			l.warned[f.Name] = true
			l.warn("%s is not fetched while the job runs: %v", f.Name, err)
		}
	}
}

// errGone says that a job removed or replaced a file while it was read: the next time tells.
var errGone = errors.New("it is gone")

// take fetches as much of a file as there is.
func (l *Live) take(ctx context.Context, src Source, f api.FileInfo) error {
	a := manifest.Artifact{Name: f.Name, Size: f.Size, Mode: f.Mode, Modified: f.Modified}
	switch err := checkName(f.Name); {
	case err != nil:
		return err
	case f.Size < 0 || f.Size > maxLive:
		return fmt.Errorf("its size of %d bytes is too much", f.Size)
	}
	in, done, err := l.p.dir(a.Name)
	if err != nil {
		return err
	}
	defer done()
	temp := l.p.ownTemp(a)
	out, err := create(in, temp, a)
	if err != nil {
		return err
	}
	defer in.Remove(temp)
	err = pour(ctx, src, &a, out)
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	l.p.stamp(in, temp, a)
	switch fate, err := l.p.commitAt(in, temp, a.Name, a); {
	case err != nil:
		return err
	case fate == conflict:
		return fmt.Errorf("%s was changed here", path.Base(a.Name))
	}
	return nil
}

// pour copies what there is of a file, no more than was listed, and completes a by what it copied.
func pour(ctx context.Context, src Source, a *manifest.Artifact, out io.Writer) error {
	f, err := src.Open(ctx, a.Name)
	if err != nil {
		return errGone
	}
	defer f.Close()
	h := sha256.New()
	a.Size, err = io.Copy(io.MultiWriter(out, h), io.NewSectionReader(f, 0, a.Size))
	a.Digest = manifest.Sum(h.Sum(nil)).Digest()
	return err
}
