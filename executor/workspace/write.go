//go:build linux

package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// writer writes files from one goroutine.
type writer struct {
	*applier
	stage *stage
	dirs  *dirCache
	bytes int64
}

func (w *writer) writePiece(ctx context.Context, piece []write) error {
	for i := range piece {
		if err := ctx.Err(); err != nil {
			return err
		}
		fd, err := w.dirs.get(piece[i].dir)
		if err == nil {
			err = w.put(ctx, fd, &piece[i])
		}
		if notThere(err) || notDirectory(err) || errors.Is(err, unix.EEXIST) || errors.Is(err, unix.EISDIR) {
			err = errMoved
		}
		if err != nil {
			return fmt.Errorf("unable to write %q: %w", join(piece[i].dir, piece[i].e.Name), err)
		}
	}
	return nil
}

// put writes where nothing stands, or beside and then by rename over what does. While other jobs
// run, no file is seen before it is whole.
func (w *writer) put(ctx context.Context, dir int, item *write) error {
	if item.e.Kind == snapshot.Symlink {
		return w.symlink(dir, item)
	}
	if !item.replace && !w.Concurrent {
		return writable(dir, func() error { return w.create(ctx, dir, item.e.Name, item.e, nil) })
	}
	name := w.stage.name()
	return w.create(ctx, w.stage.fd, name, item.e, func() error {
		return failpoint.Do(failpoint.ApplyRename, func() error {
			return writable(dir, func() error { return unix.Renameat(w.stage.fd, name, dir, item.e.Name) })
		})
	})
}

// create makes an input under a name that is free, calls place, which moves it, and sets the stamp.
func (w *writer) create(ctx context.Context, dir int, name string, e *entry, place func() error) error {
	perm := uint32(0o666)
	if e.Kind == snapshot.Executable {
		perm = 0o777
	}
	fd, err := openAt(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, perm)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := failpoint.Do(failpoint.ApplyWrite, func() error { return w.copy(ctx, fd, e) }); err != nil {
		return err
	}
	if err := setTimes(fd, w.times()); err != nil {
		return err
	}
	if place != nil {
		if err := place(); err != nil {
			return err
		}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if !rightMode(st.Mode, e.Kind) { // an odd umask
		if err := unix.Fchmod(fd, st.Mode&0o077|ownerMode(e.Kind)); err != nil {
			return err
		}
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
	}
	e.stamp = stampOf(&st)
	return nil
}

// symlink makes an input that is a symlink.
func (w *writer) symlink(dir int, item *write) error {
	at, name, e := dir, item.e.Name, item.e
	beside := item.replace || w.Concurrent
	if beside {
		at, name = w.stage.fd, w.stage.name()
	}
	if err := writable(at, func() error { return unix.Symlinkat(e.Target, at, name) }); err != nil {
		return err
	}
	times := w.times()
	if err := unix.UtimesNanoAt(at, name, times[:], unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if beside {
		if err := writable(dir, func() error { return unix.Renameat(at, name, dir, e.Name) }); err != nil {
			return err
		}
	}
	st, err := statAt(dir, e.Name)
	e.stamp = stampOf(&st)
	return err
}

func (w *writer) times() [2]unix.Timespec {
	at := unix.NsecToTimespec(w.instant.UnixNano())
	return [2]unix.Timespec{at, at}
}

// copy writes the bytes of a file.
func (w *writer) copy(ctx context.Context, fd int, e *entry) error {
	r, size, err := w.Content.Open(e.Sum)
	if err != nil {
		return fmt.Errorf("unable to read its content: %s", err.Error()) // a pack that is gone is not a workspace that moved
	}
	if size != e.Size {
		return fmt.Errorf("its content has %d bytes, the snapshot says %d", size, e.Size)
	}
	n, err := io.Copy(output{ctx, fd}, r)
	w.bytes += n
	if err == nil && n != size {
		err = fmt.Errorf("its content ends after %d of %d bytes", n, size)
	}
	return err
}

// output writes to an open file until its context ends.
type output struct {
	ctx context.Context
	fd  int
}

func (o output) Write(b []byte) (int, error) {
	if err := o.ctx.Err(); err != nil {
		return 0, err
	}
	total := 0
	for total < len(b) {
		n, err := unix.Write(o.fd, b[total:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}
