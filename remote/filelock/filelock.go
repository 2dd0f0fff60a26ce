// Package filelock keeps several processes of one user from writing the same file at once.
package filelock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Lock waits for the lock file at path, made if need be, and returns what gives it up. The system gives it up too when
// the process ends.
func Lock(path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("unable to lock %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("unable to lock %s: %w", path, err)
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("unable to lock %s: %w", path, err), f.Close())
	}
	return func() { f.Close() }, nil
}
