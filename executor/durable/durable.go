// Package durable makes names in directories outlive a power cut.
package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// SyncDir makes the names in a directory durable.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// SetAside moves a file to a name that no other has, and makes both directories durable: to, or to
// with a number. What had that name stays.
func SetAside(file, to string) error {
	name, err := unused(to)
	if err != nil {
		return err
	}
	if err := os.Rename(file, name); err != nil {
		return err
	}
	return errors.Join(SyncDir(filepath.Dir(to)), SyncDir(filepath.Dir(file)))
}

// KeepAside is SetAside that leaves the file where it is as well, until another takes its place.
func KeepAside(file, to string) error {
	name, err := unused(to)
	if err != nil {
		return err
	}
	if err := os.Link(file, name); err == nil {
		return SyncDir(filepath.Dir(to))
	}
	data, err := os.ReadFile(file) // a file system without links
	if err != nil {
		return err
	}
	return KeepCopy(data, to)
}

// KeepCopy writes what a file held that is about to be replaced to a name that no other has: to, or to with
// a number.
func KeepCopy(data []byte, to string) error {
	name, err := unused(to)
	if err != nil {
		return err
	}
	return WriteFile(name, data)
}

// unused is a name that no file has, to or to with a number, in a directory that is made for it.
func unused(to string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return "", err
	}
	name := to
	for n := 2; ; n++ {
		if _, err := os.Lstat(name); err != nil {
			return name, nil
		}
		name = fmt.Sprintf("%s-%d", to, n)
	}
}

// WriteFile puts a file in the place of what had its name, so that a crash leaves the one or the other whole.
func WriteFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := renameio.WriteFile(path, data, 0o600, renameio.WithTempDir(dir)); err != nil {
		return err
	}
	return SyncDir(dir)
}
