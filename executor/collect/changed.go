//go:build linux

package collect

import (
	"context"
	"io"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// maxChanged bounds the inputs that are listed as changed.
const maxChanged = 1000

// findChanged finds the inputs that the job rewrote or removed. The rewritten ones become artifacts that stay, so that they
// can be fetched after the next apply has undone what the job did. Only files with a stat other than the apply left are read.
func (c *collector) findChanged(ctx context.Context) {
	found := map[string]bool{}
	for i := range c.found {
		found[c.found[i].name] = true
	}
	t := &taker{collector: c}
	at := &place{dir: "\x00", fd: -1}
	defer at.close()
	c.Inputs.Files(func(name string, e snapshot.Entry) bool {
		o := output{name: name, fresh: true, changed: true}
		switch {
		case c.rules.excluded(name, false):
		case found[name]:
			c.changed = append(c.changed, name)
		case t.changed(ctx, at, &o, e):
			c.changed = append(c.changed, name)
			if !c.undeclared && o.stat.Mode&unix.S_IFMT == unix.S_IFREG && refusal(&o) == "" {
				o.kind, o.media = kindOf(name)
				c.found = append(c.found, o)
			}
		}
		return len(c.changed) < maxChanged && ctx.Err() == nil
	})
}

// judgeChanged keeps those changed inputs of which nothing comes back.
func (c *collector) judgeChanged() {
	artifacts := map[string]*manifest.Artifact{}
	for i := range c.result.Artifacts {
		artifacts[c.result.Artifacts[i].Name] = &c.result.Artifacts[i]
	}
	for _, name := range c.changed {
		a := artifacts[name]
		if a == nil && c.same[name] || a != nil && (a.Fetch && a.Fresh || c.asSent(a)) {
			continue
		}
		c.result.Changed = append(c.result.Changed, printable(name))
	}
}

// asSent tells whether an artifact is what the client sent.
func (c *collector) asSent(a *manifest.Artifact) bool {
	in, ok := c.Inputs.Input(a.Name)
	return ok && in.Kind.Regular() && in.Sum.Digest() == a.Digest
}

// changed tells whether an input is not what the client sent.
func (t *taker) changed(ctx context.Context, at *place, o *output, e snapshot.Entry) bool {
	name := o.name
	parent := at.enter(t, path.Dir(name))
	if t.undeclared && at.still {
		return false // it is there, and had it been written it would have been found
	}
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
	src, err := t.source(parent, o)
	if err != nil {
		return true
	}
	defer src.Close()
	d, err := digest(ctx, src, io.Discard, o)
	return err == nil && d != e.Sum.Digest()
}

// place is the directory that was looked at last: inputs come directory by directory.
type place struct {
	dir   string
	fd    int  // negative: it cannot be opened
	still bool // no name came or went in it since the job began
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
	var st unix.Stat_t
	p.fd, p.still = fd, fd >= 0 && unix.Fstat(fd, &st) == nil && time.Unix(st.Ctim.Unix()).Before(t.Start)
	return fd
}

func (p *place) close() {
	if p.fd >= 0 {
		unix.Close(p.fd)
	}
}
