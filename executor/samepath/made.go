//go:build linux

package samepath

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Mount points are made on the host itself, so that other jobs, also of other executors, meet
// them. A job holds a shared lock on its mount point; only who gets the exclusive one may remove
// it, because that would take it from under a mount. What was made is written down first: a
// killed supervisor leaves it to the next sweep.

// record is the file that says that an executor of this data directory made dir.
func record(records, dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return filepath.Join(records, hex.EncodeToString(sum[:12]))
}

// make makes the directories that are missing on the way to Root.
func (r *Request) make(g ground) error {
	if name := filesystem(g.base); name != "" {
		return off("%s does not exist on the host, and %s is on %s", r.Root, g.base, name)
	}
	if err := os.MkdirAll(r.Records, 0o700); err != nil {
		return fmt.Errorf("unable to note a mount point: %w", err)
	}
	alone, err := lockRecords(r.Records)
	if err != nil {
		return err
	}
	defer alone.Close()
	at := g.base
	for _, name := range g.rest {
		at = filepath.Join(at, name)
		switch err := makeOne(r.Records, at); {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrExist):
			return nil // another job's doing; the next survey sees how things are
		case err != nil:
			return off("%s cannot be made on the host: %v", at, err)
		}
	}
	return nil
}

// lockRecords keeps other jobs of this data directory from making or removing mount points, so
// that notes and directories agree.
func lockRecords(records string) (*os.File, error) {
	f, err := os.Open(records)
	if err != nil {
		return nil, fmt.Errorf("unable to lock mount points: %w", err)
	}
	for {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("unable to lock mount points: %w", err), f.Close())
	}
	return f, nil
}

func makeOne(records, dir string) error {
	note := record(records, dir)
	noted, err := os.OpenFile(note, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = noted.WriteString(dir)
		err = errors.Join(err, noted.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	fresh := err == nil
	if err = os.Mkdir(dir, 0o755); err != nil && fresh {
		os.Remove(note) // it is not ours
	}
	return err
}

// hold opens a mount point and keeps it from being removed. It is not ok when it vanished meanwhile.
func hold(dir string) (f *os.File, ok bool, err error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.EACCES):
		return nil, true, nil // closed to this user, so no job of this user's made it
	case errors.Is(err, unix.ENOENT):
		return nil, false, nil
	case err != nil:
		return nil, false, off("%s cannot be opened on the host: %v", dir, err)
	}
	f = os.NewFile(uintptr(fd), dir)
	if err := unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		f.Close()
		return nil, false, nil // it is being removed
	}
	var opened, named unix.Stat_t
	if unix.Fstat(fd, &opened) != nil || unix.Lstat(dir, &named) != nil || opened.Ino != named.Ino || opened.Dev != named.Dev {
		f.Close()
		return nil, false, nil
	}
	return f, true, nil
}

// unmakeAbove removes dir and what is above it as far as an executor of these records made it and
// it is empty.
func unmakeAbove(records, dir string) error {
	if _, err := os.Lstat(record(records, dir)); err != nil {
		return nil
	}
	alone, err := lockRecords(records)
	if err != nil {
		return err
	}
	defer alone.Close()
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(record(records, dir)); err != nil {
			return nil
		}
		if gone, err := unmake(records, dir); err != nil || !gone {
			return err
		}
	}
	return nil
}

// unmake removes one directory unless a job uses it or something is in it.
func unmake(records, dir string) (gone bool, err error) {
	f, err := os.OpenFile(dir, unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err == nil {
		defer f.Close()
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
			return false, nil
		}
		err = unix.Rmdir(dir)
	}
	switch {
	case errors.Is(err, unix.ENOTEMPTY), errors.Is(err, unix.EEXIST), errors.Is(err, unix.EBUSY):
		return false, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.ELOOP):
		return false, fmt.Errorf("unable to remove the mount point %s: %w", dir, err)
	}
	if err := os.Remove(record(records, dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return true, fmt.Errorf("unable to remove the mount point %s: %w", dir, err)
	}
	return true, nil
}

// Sweep removes the mount points that jobs left behind.
func Sweep(records string) error {
	if _, err := os.Lstat(records); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	alone, err := lockRecords(records)
	if err != nil {
		return err
	}
	defer alone.Close()
	entries, err := os.ReadDir(records)
	if err != nil {
		return fmt.Errorf("unable to list mount points: %w", err)
	}
	var dirs []string
	for _, e := range entries {
		dir, err := os.ReadFile(filepath.Join(records, e.Name()))
		if path := string(dir); err == nil && filepath.IsAbs(path) && record("", path) == e.Name() {
			dirs = append(dirs, path)
		}
	}
	// The deepest first.
	slices.SortFunc(dirs, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	var errs []error
	for _, dir := range dirs {
		_, err := unmake(records, dir)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
