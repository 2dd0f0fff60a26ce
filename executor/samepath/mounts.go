//go:build linux

package samepath

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mount makes the workspace appear at Root, in this process's mount namespace.
func (p *plan) mount() error {
	// What is mounted here must not show on the host.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("unable to part from the host's mounts: %w", err)
	}
	switch p.Mirror {
	case "":
		return bind(p.Workspace, p.Root)
	case "/":
		return p.mirrorRoot()
	}
	return p.mirror()
}

func bind(from, to string) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("unable to mount on %s: %w", to, err)
	}
	return nil
}

// mirror covers a directory with a copy that holds the same entries and the way to Root.
func (p *plan) mirror() error {
	work, err := unix.Open(p.Workspace, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("unable to open %s: %w", p.Workspace, err)
	}
	defer unix.Close(work)
	old, err := os.Open(p.Mirror)
	if err != nil {
		return fmt.Errorf("unable to open %s: %w", p.Mirror, err)
	}
	defer old.Close()
	entries, err := old.ReadDir(-1)
	if err != nil {
		return fmt.Errorf("unable to read %s: %w", p.Mirror, err)
	}
	if err := memory(p.Mirror); err != nil {
		return err
	}
	if err := p.fill(fmt.Sprintf("/proc/self/fd/%d", old.Fd()), p.Mirror, entries); err != nil {
		return err
	}
	return p.finish(fmt.Sprintf("/proc/self/fd/%d", work), func() error { return nil })
}

// aside is where the host's root hangs while the mirror of it is filled.
const aside = ".cyclops-host"

// mirrorRoot does the same for /, which nothing can cover: the mirror becomes the root.
func (p *plan) mirrorRoot() error {
	entries, err := os.ReadDir("/")
	if err != nil {
		return fmt.Errorf("unable to read /: %w", err)
	}
	// Any directory will do: it is uncovered again when the mirror becomes the root.
	at := p.Workspace
	if err := memory(at); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(at, aside), 0o700); err != nil {
		return fmt.Errorf("unable to mirror /: %w", err)
	}
	if err := unix.PivotRoot(at, filepath.Join(at, aside)); err != nil {
		return fmt.Errorf("unable to mirror /: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("unable to mirror /: %w", err)
	}
	if err := p.fill("/"+aside, "/", entries); err != nil {
		return err
	}
	return p.finish("/"+aside+p.Workspace, func() error {
		if err := unix.Unmount("/"+aside, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unable to mirror /: %w", err)
		}
		return os.Remove("/" + aside)
	})
}

// memory mounts an empty file system.
func memory(at string) error {
	if err := unix.Mount("cyclops", at, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=1m"); err != nil {
		return fmt.Errorf("unable to mirror %s: %w", at, err)
	}
	return nil
}

// fill makes the entries of the directory from appear in to.
func (p *plan) fill(from, to string, entries []fs.DirEntry) error {
	for _, e := range entries {
		if e.Name() == p.Without {
			continue
		}
		err := appear(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()), e.Type())
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // it may be gone by now
			return fmt.Errorf("unable to mirror %s: %w", filepath.Join(p.Mirror, e.Name()), err)
		}
	}
	return nil
}

func appear(from, to string, kind fs.FileMode) error {
	switch {
	case kind&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	case kind.IsDir():
		if err := os.Mkdir(to, 0o755); err != nil {
			return err
		}
	default:
		f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
		if err != nil {
			return err
		}
		f.Close()
	}
	if err := bind(from, to); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// finish makes the way to Root in the mirror, puts the workspace there and closes the mirror:
// what a job wrote into it would be lost with it.
func (p *plan) finish(workspace string, tidy func() error) error {
	if err := os.MkdirAll(p.Root, 0o755); err != nil {
		return fmt.Errorf("unable to mirror %s: %w", p.Mirror, err)
	}
	if err := bind(workspace, p.Root); err != nil {
		return err
	}
	if err := tidy(); err != nil {
		return err
	}
	flags := uintptr(unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV)
	if err := unix.Mount("", p.Mirror, "", flags, ""); err != nil {
		return fmt.Errorf("unable to close the mirror of %s: %w", p.Mirror, err)
	}
	return nil
}

// inside returns the path that the job knows a directory below the workspace by.
func (p *plan) inside(dir string) string {
	return filepath.Join(p.Root, strings.TrimPrefix(dir, "/"))
}
