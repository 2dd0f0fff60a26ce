package fetch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

const (
	maxLive      = int64(1) << 30 // bytes; how large a file may be that is fetched anew each time it grows
	maxLiveFiles = 10_000
	liveRest     = 10 // times what its last copy took is how long a file is left alone
)

// Live puts files of a job that runs in place, again each time they have changed. What it puts there the fetch at the
// job's end replaces. Close it before that one begins. It is used by one goroutine.
type Live struct {
	p    *Placer
	seen map[string]liveFile
	full bool // told that there are too many
	warn func(format string, args ...any)
}

// liveFile is what is known of a file from the last time.
type liveFile struct {
	info   api.FileInfo
	rests  time.Time // it is not copied again before
	failed bool      // and was told: it is not tried again
}

// NewLive prepares for the job of r.Manifest, of which only the id is needed. warn is told once of each file that cannot be
// had, and why.
func NewLive(r Request, warn func(format string, args ...any)) (*Live, error) {
	p, err := New(r)
	if err != nil {
		return nil, err
	}
	return &Live{p: p, seen: map[string]liveFile{}, warn: warn}, nil
}

// Close ends it.
func (l *Live) Close() error {
	_, err := l.p.Close()
	return err
}

// Take fetches what has changed since the last time, of what the request's patterns match; without any, of everything. src
// opens files of the workspace. A file that takes long to copy is copied less often.
func (l *Live) Take(ctx context.Context, src Source, files []api.FileInfo) {
	for _, f := range files {
		if ctx.Err() != nil {
			return
		}
		if l.due(f) {
			l.bring(ctx, src, f)
		}
	}
}

// due tells whether a file is to be fetched now.
func (l *Live) due(f api.FileInfo) bool {
	before, ok := l.seen[f.Name]
	switch {
	case ok:
		changed := before.info.Size != f.Size || !before.info.Modified.Equal(f.Modified)
		return changed && !before.failed && !time.Now().Before(before.rests)
	case !l.matches(f.Name):
		return false // nobody asked for it
	case len(l.seen) < maxLiveFiles:
		return true
	case !l.full:
		l.full = true
		l.warn("no more than %d files are fetched while the job runs", maxLiveFiles)
	}
	return false
}

// matches tells whether a pattern matches a path or a directory above it, as the host reads patterns.
func (l *Live) matches(name string) bool {
	for _, pattern := range l.p.req.Patterns {
		pattern = path.Clean(pattern)
		for at := name; at != "." && at != "/"; at = path.Dir(at) {
			if pattern == "." || doublestar.MatchUnvalidated(pattern, at) {
				return true
			}
		}
	}
	return len(l.p.req.Patterns) == 0
}

func (l *Live) bring(ctx context.Context, src Source, f api.FileInfo) {
	began := time.Now()
	err := l.take(ctx, src, f)
	now := time.Now()
	switch {
	case err == nil:
		l.seen[f.Name] = liveFile{info: f, rests: now.Add(liveRest * now.Sub(began))}
	case ctx.Err() == nil && !errors.Is(err, errGone):
		l.seen[f.Name] = liveFile{failed: true}
		l.warn("%s is not fetched while the job runs: %v", f.Name, err)
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
