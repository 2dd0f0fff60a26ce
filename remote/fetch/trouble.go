package fetch

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

// errMoved says that the directory which a file was to go to is not at its path any more.
var errMoved = errors.New("its directory was exchanged while it was fetched")

// stands tells whether in is still what lies at dir: else what is put there would appear somewhere else.
func (p *Placer) stands(in *os.Root, dir string) bool {
	if in == p.root {
		return true
	}
	now, err := p.root.Lstat(dir)
	if err != nil {
		return false
	}
	mine, err := in.Stat(".")
	return err == nil && os.SameFile(now, mine)
}

// forget has a directory looked up again. Others may be at work in it, so it stays open.
func (p *Placer) forget(dir string) {
	p.dirsMu.Lock()
	defer p.dirsMu.Unlock()
	if in := p.dirs[dir]; in != nil {
		p.left = append(p.left, in)
		delete(p.dirs, dir)
	}
}

// explain words what went wrong on this machine: the name of a file that is only under way says nothing to anyone.
func explain(err error) error {
	var told *api.Error
	var at *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &told):
		return err
	case errors.Is(err, syscall.ENOSPC):
		return full("no space is left on the disk of this machine")
	case errors.Is(err, syscall.EDQUOT):
		return full("your quota on the disk of this machine is used up")
	case errors.As(err, &at):
		return api.Errorf(api.Undelivered, "", "it cannot be written here: %w", at.Err)
	case errors.As(err, &link):
		return api.Errorf(api.Undelivered, "", "it cannot be written here: %w", link.Err)
	}
	return err
}

func full(why string) error { return api.Errorf(api.NoSpace, "", "%s", why) }

// fits tells before the first byte of a large file that there is no room for it, so that it takes none from those that
// fit. Where a quota is the limit, or others write too, a write tells.
func (p *Placer) fits(in *os.Root, n int64) error {
	if left, ok := space(in); ok && left < n {
		return full("no space is left on the disk of this machine: " + human.Size(n) + " more would be written")
	}
	return nil
}
