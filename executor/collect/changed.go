//go:build linux

package collect

import (
	"context"
	"io"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// maxChanged bounds the inputs that are listed as changed.
const maxChanged = 1000

// changedInputs lists what the job did to its inputs and what no output that comes back tells the client: the next
// apply undoes it. Only files with a stat other than the apply left are read.
func (c *collector) changedInputs(ctx context.Context) []string {
	if c.Inputs == nil {
		return nil
	}
	back := map[string]bool{}
	for _, a := range c.result.Artifacts {
		back[a.Name] = back[a.Name] || a.Fetch && a.Fresh && !a.Volatile
	}
	root, err := unix.Open(c.Data.Workspace(c.Workspace), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(root)
	c.root = root
	t := &taker{collector: c}
	at := &place{dir: "\x00", fd: -1}
	defer at.close()
	var changed []string
	c.Inputs.Files(func(name string, e snapshot.Entry) bool {
		if !back[name] && t.changed(ctx, at, name, e) {
			changed = append(changed, printable(name))
		}
		return len(changed) < maxChanged && ctx.Err() == nil
	})
	return changed
}

// changed tells whether an input is not what the client sent.
func (t *taker) changed(ctx context.Context, at *place, name string, e snapshot.Entry) bool {
	parent := at.enter(t, path.Dir(name))
	o := output{name: name}
	if parent < 0 || unix.Fstatat(parent, path.Base(name), &o.stat, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return true
	}
	if t.Inputs.Untouched(name, &o.stat) || time.Unix(o.stat.Ctim.Unix()).Before(t.Start) {
		return false
	}
	if e.Kind == snapshot.Symlink {
		var buf [4096]byte
		n, err := unix.Readlinkat(parent, path.Base(name), buf[:])
		return err != nil || string(buf[:n]) != e.Target
	}
	if o.stat.Mode&unix.S_IFMT != unix.S_IFREG || o.stat.Size != e.Size {
		return true
	}
	src, err := t.source(parent, &o)
	if err != nil {
		return true
	}
	defer src.Close()
	d, err := digest(ctx, src, io.Discard, &o)
	return err == nil && d != e.Sum.Digest()
}

// place is the directory that was looked at last: inputs come directory by directory.
type place struct {
	dir string
	fd  int // negative: it cannot be opened
}

func (p *place) enter(t *taker, dir string) int {
	if p.dir == dir {
		return p.fd
	}
	p.close()
	p.dir = dir
	fd, err := t.open(dir)
	if err != nil {
		fd = -1
	}
	p.fd = fd
	return fd
}

func (p *place) close() {
	if p.fd >= 0 {
		unix.Close(p.fd)
	}
}
