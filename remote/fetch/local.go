package fetch

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// maxOpenDirs bounds the directories that are kept open for speed.
const maxOpenDirs = 256

// errBlocked says that a directory cannot be had because something of the user's is in its place.
type errBlocked struct{ reason string }

func (e errBlocked) Error() string { return e.reason }

// dir opens the directory that holds a slash-separated name, making it where it is missing. It never goes through a symlink.
// done must be called when it is not used any more.
func (p *Placer) dir(name string) (in *os.Root, done func(), err error) {
	dir := path.Dir(name)
	if dir == "." {
		return p.root, func() {}, nil
	}
	p.dirsMu.Lock()
	in = p.dirs[dir]
	p.dirsMu.Unlock()
	if in != nil {
		return in, func() {}, nil
	}
	if in, err = p.descend(dir); err != nil {
		return nil, nil, err
	}
	p.dirsMu.Lock()
	defer p.dirsMu.Unlock()
	if p.dirs[dir] == nil && len(p.dirs) < maxOpenDirs {
		p.dirs[dir] = in
		return in, func() {}, nil
	}
	return in, func() { in.Close() }, nil
}

func (p *Placer) descend(dir string) (*os.Root, error) {
	at, opened := p.root, false
	for part := range strings.SplitSeq(dir, "/") {
		next, err := enter(at, part)
		if opened {
			at.Close()
		}
		if err != nil {
			return nil, err
		}
		at, opened = next, true
	}
	return at, nil
}

// enter opens one directory below at. What Lstat saw must be what was opened: a symlink could have come in between.
func enter(at *os.Root, part string) (*os.Root, error) {
	if err := at.Mkdir(part, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	seen, err := at.Lstat(part)
	if err != nil {
		return nil, err
	}
	if seen.Mode()&fs.ModeSymlink != 0 {
		return nil, errBlocked{part + " is a symlink here, and nothing is fetched through one"}
	}
	if !seen.IsDir() {
		return nil, errBlocked{part + " is no directory here"}
	}
	next, err := at.OpenRoot(part)
	if err != nil {
		return nil, err
	}
	if opened, err := next.Stat("."); err != nil || !os.SameFile(seen, opened) {
		next.Close()
		return nil, errBlocked{part + " was exchanged meanwhile"}
	}
	return next, nil
}

// local is what lies at a name on this machine.
type local struct {
	info    fs.FileInfo // nil: nothing
	content string      // as the record writes it; "" for what is neither file nor symlink
	sum     manifest.Sum
	target  string
}

// contentOf writes what an artifact holds as the record does.
func contentOf(a manifest.Artifact) string {
	if a.Kind == manifest.KindSymlink {
		return linkContent(a.Target)
	}
	return strings.TrimPrefix(string(a.Digest), "sha256:")
}

func linkContent(target string) string {
	sum := manifest.SumOf([]byte(target))
	return "link:" + sum.String()
}

// errExchanged says that another file took the place of the one that was looked at.
var errExchanged = errors.New("it was exchanged meanwhile")

// inspect looks at a name without following or waiting, again when another process puts something there meanwhile.
func inspect(in *os.Root, base string) (l local, err error) {
	for range tries {
		if l, err = look(in, base); !errors.Is(err, errExchanged) {
			break
		}
	}
	return l, err
}

func look(in *os.Root, base string) (local, error) {
	info, err := in.Lstat(base)
	if errors.Is(err, fs.ErrNotExist) {
		return local{}, nil
	}
	if err != nil {
		return local{}, err
	}
	l := local{info: info}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		if l.target, err = in.Readlink(base); err == nil {
			l.content = linkContent(l.target)
		}
	case info.Mode().IsRegular():
		err = l.digest(in, base)
	}
	return l, err
}

func (l *local) digest(in *os.Root, base string) error {
	f, err := in.OpenFile(base, os.O_RDONLY|nonBlock, 0)
	if errors.Is(err, fs.ErrPermission) {
		return nil // what cannot be read is not known to be ours
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = errExchanged
	}
	if err != nil {
		return fmt.Errorf("unable to look at %s: %w", base, err)
	}
	defer f.Close()
	opened, err := f.Stat()
	if err != nil || !os.SameFile(l.info, opened) {
		return fmt.Errorf("unable to look at %s: %w", base, errExchanged)
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("unable to look at %s: %w", base, err)
	}
	l.info, l.sum = opened, manifest.Sum(h.Sum(nil))
	l.content = l.sum.String()
	return nil
}

// unchanged tells whether what lies at base is still what inspect saw.
func (l local) unchanged(in *os.Root, base string) bool {
	now, err := in.Lstat(base)
	if l.info == nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	return err == nil && os.SameFile(l.info, now) && l.info.Mode() == now.Mode() && l.info.Size() == now.Size() && l.info.ModTime().Equal(now.ModTime())
}
