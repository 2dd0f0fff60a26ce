//go:build linux

package collect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// maxDepth bounds how deep outputs may lie.
const maxDepth = 1024

// walk finds outputs. It follows no symlink: what stands behind one is no output of this workspace.
func (c *collector) walk(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	fd, err := openAt(c.root, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	group.Go(func() error { return c.dir(ctx, group, fd, "", 0) })
	return group.Wait()
}

// dir visits a directory and closes it.
func (c *collector) dir(ctx context.Context, group *errgroup.Group, fd int, name string, depth int) error {
	dir := os.NewFile(uintptr(fd), name)
	defer dir.Close()
	for {
		names, err := dir.Readdirnames(1024)
		for _, n := range names {
			if err := c.visit(ctx, group, fd, join(name, n), n, depth); err != nil {
				return err
			}
		}
		if err != nil || len(names) == 0 {
			return ctx.Err() // what is left of a directory that cannot be read is not there
		}
	}
}

func (c *collector) visit(ctx context.Context, group *errgroup.Group, fd int, name, base string, depth int) error {
	var st unix.Stat_t
	if err := unix.Fstatat(fd, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil // gone meanwhile
	}
	isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if c.rules.excluded(name, isDir) {
		return nil
	}
	if !isDir {
		c.file(name, st)
		return nil
	}
	// git's own directory is never an output that nobody asked for: no client would take it.
	if c.undeclared && base == ".git" || !c.undeclared && !c.rules.reach(name) {
		return nil
	}
	return c.descend(ctx, group, fd, name, base, depth+1)
}

func (c *collector) descend(ctx context.Context, group *errgroup.Group, fd int, name, base string, depth int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if depth > maxDepth {
		c.locked(func() { c.refuse(name, fmt.Sprintf("is more than %d directories deep", maxDepth)) })
		return nil
	}
	open := openLocked
	if c.watching {
		open = func(fd int, name string, flags int, _ uint32) (int, error) { return openAt(fd, name, flags) }
	}
	sub, err := open(fd, base, unix.O_RDONLY|unix.O_DIRECTORY, 0o500)
	if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
		return err
	}
	if err != nil {
		c.locked(func() { c.refuse(name, "cannot be read: "+err.Error()) })
		return nil
	}
	visit := func() error { return c.dir(ctx, group, sub, name, depth) }
	if group.TryGo(visit) {
		return nil
	}
	return visit()
}

func (c *collector) locked(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do()
}

// file decides whether a file is an output.
func (c *collector) file(name string, st unix.Stat_t) {
	o := output{name: name, stat: st, fresh: !time.Unix(st.Ctim.Unix()).Before(c.Start)}
	o.unsure = !o.fresh && !time.Unix(st.Ctim.Unix()).Before(c.Start.Add(-c.Back))
	if c.undeclared && !o.fresh && !o.unsure {
		return
	}
	matched := c.rules.match(name)
	if !c.undeclared && len(matched) == 0 {
		if st.Mode&unix.S_IFMT == unix.S_IFLNK && c.rules.hides(name) {
			c.locked(func() { c.refuse(name, "is a symbolic link: what is behind it is not collected") })
		}
		return
	}
	o.kind, o.media = kindOf(name)
	o.fetch = c.undeclared && !o.unsure
	c.locked(func() {
		if c.passes(&o, matched) {
			c.found = append(c.found, o)
			c.unsure = c.unsure || o.unsure
		}
	})
}

// passes tells whether an output becomes an artifact and notes for its globs why or why not.
func (c *collector) passes(o *output, matched []*rule) bool {
	if reason := refusal(o); reason != "" {
		c.refuse(o.name, reason)
		for _, g := range matched {
			g.fresh = true // it is refused, not missing
		}
		return false
	}
	for _, g := range matched {
		o.fetch = o.fetch || g.fetch && !o.unsure
		if o.fresh {
			g.fresh = true
		} else if len(g.stale) < maxStale {
			g.stale = append(g.stale, printable(o.name))
		}
	}
	if o.fresh || o.unsure && c.undeclared {
		return true
	}
	// What was an input and has not changed since is not an output: the client has it.
	return (c.Succeeded || o.unsure) && !c.isInput(o.name)
}

func (c *collector) isInput(name string) bool {
	if c.Inputs == nil {
		return false
	}
	_, ok := c.Inputs.Input(name)
	return ok
}

// refusal says what keeps a file from being an output, or nothing. Where a symlink leads is judged later.
func refusal(o *output) string {
	if !utf8.ValidString(o.name) {
		return "has a name that is not UTF-8"
	}
	switch o.stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		if o.stat.Mode&(unix.S_ISUID|unix.S_ISGID) != 0 {
			return "would run with another user's rights (setuid or setgid)"
		}
	case unix.S_IFLNK:
	case unix.S_IFIFO:
		return "is a named pipe"
	case unix.S_IFSOCK:
		return "is a socket"
	default:
		return "is a device"
	}
	return ""
}

// inside tells whether a symlink's target is relative and stays in the workspace.
func inside(name, target string) bool {
	return target != "" && !path.IsAbs(target) && filepath.IsLocal(path.Join(path.Dir(name), target))
}

// printable is a name that JSON can carry.
func printable(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	return strings.ToValidUTF8(name, "\uFFFD")
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

func openAt(fd int, name string, flags int) (int, error) {
	for {
		got, err := unix.Openat(fd, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return got, err
		}
	}
}

// openLocked opens what a job may have closed to its owner, giving back the rights that it takes.
func openLocked(fd int, name string, flags int, rights uint32) (int, error) {
	got, err := openAt(fd, name, flags)
	if err != unix.EACCES {
		return got, err
	}
	ref, err := openAt(fd, name, unix.O_PATH)
	if err != nil {
		return -1, err
	}
	defer unix.Close(ref)
	var st unix.Stat_t
	if err := unix.Fstat(ref, &st); err != nil {
		return -1, err
	}
	if err := unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", ref), st.Mode&0o7777|rights); err != nil {
		return -1, err
	}
	return openAt(fd, name, flags)
}
