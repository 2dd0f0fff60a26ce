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
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	if err := os.Rename(file, free(to)); err != nil {
		return err
	}
	return errors.Join(SyncDir(filepath.Dir(to)), SyncDir(filepath.Dir(file)))
}

// KeepCopy writes what a file held that is about to be replaced to a name that no other has: to, or to with
// a number.
func KeepCopy(data []byte, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return WriteFile(free(to), data)
}

// free returns a name that no file has: to, or to with a number.
func free(to string) string {
	name := to
	for n := 2; ; n++ {
		if _, err := os.Lstat(name); err != nil {
			return name
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
