//go:build linux

package collect

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// taker makes artifacts of outputs, one after another.
type taker struct {
	*collector
	dir   string // of the artifacts
	limit int64  // bytes of undeclared outputs that come back
	taken int64
	kept  int64    // bytes that were copied
	files []string // written, not yet durable
	full  bool     // of the disk
}

var errChanged = errors.New("changes while it is read")

// maxReads bounds how often an output is read again because it changes meanwhile.
const maxReads = 3

// take makes one artifact, or refuses the output. Only the context ends the collection: one bad
// output does not cost the others.
func (t *taker) take(ctx context.Context, o *output) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	parent, err := t.open(path.Dir(o.name))
	if err != nil {
		t.refuse(o.name, "cannot be read: "+err.Error())
		return nil
	}
	defer unix.Close(parent)
	if o.stat.Mode&unix.S_IFMT == unix.S_IFLNK {
		t.link(parent, o)
		return nil
	}
	for try := 1; ; try++ {
		err = t.file(ctx, parent, o)
		if !errors.Is(err, errChanged) || try == maxReads {
			break
		}
	}
	if err != nil && ctx.Err() == nil {
		if t.undeclared && t.Concurrent {
			return nil // another job writes or removes it, and brings what comes of it
		}
		t.refuse(o.name, "cannot be read: "+err.Error())
		err = nil
	}
	return err
}

// open opens a directory of the workspace, one component after another.
func (t *taker) open(dir string) (int, error) {
	fd, err := openAt(t.root, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if dir == "." || err != nil {
		return fd, err
	}
	for part := range strings.SplitSeq(dir, "/") {
		sub, err := openAt(fd, part, unix.O_RDONLY|unix.O_DIRECTORY)
		unix.Close(fd)
		if err != nil {
			return -1, err
		}
		fd = sub
	}
	return fd, nil
}

// artifact is what the manifest says of an output before its bytes are known.
func (t *taker) artifact(o *output) manifest.Artifact {
	a := manifest.Artifact{
		Name: o.name, Path: path.Join("artifacts", o.name), Kind: o.kind, MediaType: o.media,
		Size: o.stat.Size, Mode: o.stat.Mode & 0o777, Fresh: o.fresh, Fetch: o.fetch,
		Modified: time.Unix(o.stat.Mtim.Unix()).UTC(),
	}
	if t.Concurrent {
		a.Changed = time.Unix(o.stat.Ctim.Unix()).UTC()
	}
	return a
}

// link lists a symlink. Its target is all there is to it, so nothing is copied but the link.
func (t *taker) link(parent int, o *output) {
	var buf [4096]byte
	n, err := unix.Readlinkat(parent, path.Base(o.name), buf[:])
	if err != nil {
		return
	}
	target := string(buf[:n])
	if t.Inputs != nil {
		if in, ok := t.Inputs.Input(o.name); ok && in.Target == target && t.undeclared {
			t.same[o.name] = true
			return
		}
	}
	if !inside(o.name, target) || printable(target) != target {
		t.refuse(o.name, "is a symbolic link that leads out of the workspace")
		return
	}
	a := t.artifact(o)
	a.Kind, a.MediaType, a.Target = manifest.KindSymlink, "inode/symlink", target
	a.Size, a.Digest = int64(n), manifest.SumOf(buf[:n]).Digest()
	if err := t.place(o.name, func(to string) error { return os.Symlink(target, to) }); err != nil {
		t.notCopied(&a, err)
	}
	t.result.Artifacts = append(t.result.Artifacts, a)
}

// file lists a file, copying it unless it is beyond what comes back by itself.
func (t *taker) file(ctx context.Context, parent int, o *output) error {
	src, err := t.source(parent, o)
	if err != nil {
		return err
	}
	defer src.Close()
	if t.notOurs(o) {
		return nil
	}
	if same, err := t.clientHas(ctx, src, o); same || err != nil {
		t.same[o.name] = same
		return err
	}
	a := t.artifact(o)
	copied := !t.full && (!t.undeclared && !o.changed || o.stat.Size <= t.limit-t.taken)
	over := copied && t.Most > 0 && o.stat.Size > t.Most-t.kept
	if copied = copied && !over; copied {
		a.Digest, err = t.copy(ctx, src, o)
		if err != nil && !errors.Is(err, errChanged) && ctx.Err() == nil {
			t.notCopied(&a, err)
			copied = false
		}
	} else {
		t.stays(&a)
	}
	if !copied {
		a.Digest, err = digest(ctx, src, io.Discard, o)
	}
	if err != nil {
		return err
	}
	t.taken += o.stat.Size
	if copied {
		t.kept += o.stat.Size
	} else if over {
		t.result.Over += o.stat.Size
	}
	t.result.Bytes += o.stat.Size
	t.result.Artifacts = append(t.result.Artifacts, a)
	return nil
}

// source opens an output and takes its stat again: it may not be what the walk saw.
func (t *taker) source(parent int, o *output) (*os.File, error) {
	fd, err := openLocked(parent, path.Base(o.name), unix.O_RDONLY|unix.O_NONBLOCK, 0o400)
	if err != nil {
		return nil, err
	}
	src := os.NewFile(uintptr(fd), o.name)
	mode := o.stat.Mode
	if err := unix.Fstat(fd, &o.stat); err != nil || o.stat.Mode&unix.S_IFMT != unix.S_IFREG {
		src.Close()
		return nil, cmpOr(err, errors.New("is no file any more"))
	}
	o.stat.Mode = mode // the job's own, where it had to be opened up
	return src, nil
}

func cmpOr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// clientHas tells whether an undeclared output is byte for byte what the client sent.
func (t *taker) clientHas(ctx context.Context, src *os.File, o *output) (bool, error) {
	if !t.undeclared || t.Inputs == nil {
		return false, nil
	}
	in, ok := t.Inputs.Input(o.name)
	if !ok || !in.Kind.Regular() || in.Size != o.stat.Size || t.written(o) {
		return false, nil
	}
	d, err := digest(ctx, src, io.Discard, o)
	return err == nil && d == in.Sum.Digest(), err
}

func (t *taker) stays(a *manifest.Artifact) { Stays(t.Data, t.Job, t.Workspace, a) }

// Stays makes of an output that is in a job's workspace only what the manifest says of it.
func Stays(data layout.Data, job, workspace string, a *manifest.Artifact) {
	a.Volatile, a.Fetch = true, false
	rel, err := filepath.Rel(data.Job(job), data.Workspace(workspace))
	if err == nil {
		a.Path = path.Join(filepath.ToSlash(rel), a.Name)
	}
}

func (t *taker) notCopied(a *manifest.Artifact, err error) {
	t.stays(a)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		t.full = true
		t.problem("the host's disk is full: outputs stay in the workspace and were not copied")
		return
	}
	t.problem(fmt.Sprintf("%s stays in the workspace: unable to copy it: %v", a.Name, err))
}

// place makes a file below the artifacts; a failed one leaves nothing.
func (t *taker) place(name string, make func(to string) error) error {
	to := filepath.Join(t.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	if err := failpoint.Do(failpoint.CollectCopy, func() error { return make(to) }); err != nil {
		os.Remove(to)
		return err
	}
	t.files = append(t.files, to)
	return nil
}

// copy puts the bytes of an output below the artifacts and returns their digest.
func (t *taker) copy(ctx context.Context, src *os.File, o *output) (d manifest.Digest, err error) {
	err = t.place(o.name, func(to string) error {
		dst, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		defer dst.Close()
		if d, err = fill(ctx, dst, src, o); err != nil {
			return err
		}
		at := time.Unix(o.stat.Mtim.Unix())
		if err := os.Chtimes(to, at, at); err != nil {
			return err
		}
		return dst.Close()
	})
	return d, err
}

// fill shares the blocks where the file system can, else copies them.
func fill(ctx context.Context, dst, src *os.File, o *output) (manifest.Digest, error) {
	if unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) == nil {
		return digest(ctx, dst, io.Discard, o)
	}
	return digest(ctx, src, dst, o)
}

// digest reads a file from its beginning, writes it to w and makes sure that its length is as the stat says and that
// the stat is still the same.
func digest(ctx context.Context, f *os.File, w io.Writer, o *output) (manifest.Digest, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	h := sha256.New()
	// No further: a file that grows as fast as it is read has no end.
	src := io.LimitReader(&cancellable{ctx, f}, o.stat.Size+1)
	n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(h, w)}, src, make([]byte, min(1<<18, o.stat.Size+1)))
	if err != nil {
		return "", err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return "", err
	}
	if n != o.stat.Size || st.Ino == o.stat.Ino && (st.Mtim != o.stat.Mtim || st.Size != o.stat.Size) {
		return "", errChanged
	}
	return manifest.Sum(h.Sum(nil)).Digest(), nil
}

// cancellable is a reader that ends with its context.
type cancellable struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancellable) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}

// notDurable takes the copies back that the disk may not have kept: a manifest that vouched for them would
// outlive their bytes.
func (t *taker) notDurable(err error) {
	for i := range t.result.Artifacts {
		t.stays(&t.result.Artifacts[i])
	}
	_ = os.RemoveAll(t.dir) // nothing names them any more
	t.result.Unsynced = err
	text := fmt.Sprintf("outputs stay in the workspace: unable to make their copies durable: %v", err)
	if t.result.Problem != "" {
		text = t.result.Problem + "; " + text
	}
	t.result.Problem = text
}

// sync makes the copies durable, directories included: the manifest that names them comes after.
func (t *taker) sync() error {
	if len(t.files) == 0 {
		return nil
	}
	if err := failpoint.At(failpoint.CollectSync); err != nil {
		return err
	}
	return syncPaths(t.dir, t.pathsToSync(), syncfsTells())
}

// pathsToSync lists the copies and every directory that was made for them.
func (t *taker) pathsToSync() []string {
	job := filepath.Dir(t.dir)
	seen := map[string]bool{job: true}
	paths := []string{job}
	for _, f := range t.files {
		if fi, err := os.Lstat(f); err != nil || fi.Mode().IsRegular() { // one that is gone fails to sync
			paths = append(paths, f)
		}
		for dir := filepath.Dir(f); !seen[dir]; dir = filepath.Dir(dir) {
			seen[dir] = true
			paths = append(paths, dir)
		}
	}
	return paths
}
