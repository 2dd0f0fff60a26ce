//go:build linux

package workspace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// execute carries out a plan. The journal knows of every path before something can stand there:
// durably, because after a loss of power a path that nothing knows would pass for a job's own.
func (a *applier) execute(ctx context.Context, p *plan, old *index) error {
	if err := a.journal.record(a.meets(old), p.adds); err != nil {
		return err
	}
	stage, err := openStage(a.Data.Workspaces(), a.Name)
	if err != nil {
		return err
	}
	defer stage.close()
	dirs := newDirCache(a.root)
	defer dirs.close()
	for _, c := range p.clears {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.clear(dirs, c); err != nil {
			return fmt.Errorf("unable to clear %q: %w", c.path, err)
		}
	}
	for _, d := range p.mkdirs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := makeDir(dirs, d); err != nil {
			return fmt.Errorf("unable to make directory %q: %w", d, err)
		}
	}
	return a.writeAll(ctx, stage, p.writes)
}

// meets lists the snapshots whose inputs may be in the workspace from now on.
func (a *applier) meets(old *index) []manifest.Sum {
	all := slices.Clone(a.journal.snapshots)
	if old != nil && !slices.Contains(all, old.root.sum) {
		all = append(all, old.root.sum)
	}
	if !slices.Contains(all, a.New) {
		all = append(all, a.New)
	}
	return all
}

func (a *applier) clear(dirs *dirCache, c clearing) error {
	if err := failpoint.At(failpoint.ApplyClear); err != nil {
		return err
	}
	fd, err := dirs.get(path.Dir(c.path))
	if notThere(err) || notDirectory(err) {
		return errMoved
	}
	if err != nil {
		return err
	}
	name := path.Base(c.path)
	switch c.how {
	case unlink:
		err = writable(fd, func() error { return unix.Unlinkat(fd, name, 0) })
	case rmdir, rmdirOrMove:
		err = writable(fd, func() error { return unix.Unlinkat(fd, name, unix.AT_REMOVEDIR) })
		if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) {
			if c.how == rmdir {
				return nil
			}
			return a.displace(fd, name, c.path)
		}
	case moveDisplaced:
		return a.displace(fd, name, c.path)
	}
	switch {
	case notThere(err):
		return nil
	case errors.Is(err, unix.EISDIR) || notDirectory(err):
		return errMoved
	case err == nil && c.how == unlink:
		a.report.Removed++
	}
	return err
}

func makeDir(dirs *dirCache, dir string) error {
	if err := failpoint.At(failpoint.ApplyDir); err != nil {
		return err
	}
	fd, err := dirs.get(path.Dir(dir))
	if err == nil {
		err = writable(fd, func() error { return unix.Mkdirat(fd, path.Base(dir), 0o777) })
	}
	if err == unix.EEXIST || notThere(err) || notDirectory(err) {
		return errMoved
	}
	return err
}

// stage is a directory beside the workspace in which a file is completed before it takes its
// place, so that a crash leaves no half of one among the job's files.
type stage struct {
	path string
	fd   int
	next atomic.Int64
}

func openStage(workspaces, name string) (*stage, error) {
	s := &stage{path: stagePath(workspaces, name)}
	err := os.RemoveAll(s.path) // of an interrupted apply
	if err == nil {
		err = failpoint.Do(failpoint.ApplyStage, func() error { return os.Mkdir(s.path, 0o700) })
	}
	if err == nil {
		s.fd, err = openAt(unix.AT_FDCWD, s.path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("unable to make staging directory: %w", err)
	}
	return s, nil
}

// stagePath begins with a dot, as no workspace's name can.
func stagePath(workspaces, name string) string { return workspaces + "/." + name + ".stage" }

func (s *stage) name() string { return fmt.Sprint(s.next.Add(1)) }

func (s *stage) close() {
	unix.Close(s.fd)
	os.RemoveAll(s.path)
}

// Files are handed out in pieces of this size, so that few frames are decoded for two workers.
const (
	pieceBytes = 4 << 20
	pieceFiles = 256
)

// writeAll writes every file and symlink, in the order in which packs hold them.
func (a *applier) writeAll(ctx context.Context, s *stage, writes []write) error {
	a.order(writes)
	pieces := cut(writes)
	var next atomic.Int64
	var bytes atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range min(runtime.GOMAXPROCS(0), len(pieces)) {
		w := &writer{applier: a, stage: s, dirs: newDirCache(a.root)}
		group.Go(func() error {
			defer w.dirs.close()
			for i := next.Add(1) - 1; i < int64(len(pieces)); i = next.Add(1) - 1 {
				if err := w.writePiece(ctx, pieces[i]); err != nil {
					return err
				}
			}
			bytes.Add(w.bytes)
			return nil
		})
	}
	err := group.Wait()
	a.report.WrittenBytes = bytes.Load()
	a.report.Written = int64(len(writes))
	for i := range writes {
		if writes[i].restored {
			a.report.Restored++
		}
	}
	return err
}

// order sorts by place. Symlinks, which need no content, come last.
func (a *applier) order(writes []write) {
	for i := range writes {
		w := &writes[i]
		w.pack = math.MaxInt
		if w.e.Kind != snapshot.Symlink {
			w.pack, w.offset = a.Content.Place(w.e.Sum)
		}
	}
	slices.SortStableFunc(writes, func(x, y write) int {
		return cmp.Or(cmp.Compare(x.pack, y.pack), cmp.Compare(x.offset, y.offset))
	})
}

func cut(writes []write) [][]write {
	var pieces [][]write
	start, size := 0, int64(0)
	for i := range writes {
		size += writes[i].e.Size
		if size >= pieceBytes || i+1-start >= pieceFiles {
			pieces = append(pieces, writes[start:i+1])
			start, size = i+1, 0
		}
	}
	if start < len(writes) {
		pieces = append(pieces, writes[start:])
	}
	return pieces
}
