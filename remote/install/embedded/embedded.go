// Package embedded carries the executors that a release build was filled with, gzip-compressed
// and named cyclopsd-OS-ARCH.gz. A build from source carries none.
package embedded

import (
	"compress/gzip"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

//go:embed *
var files embed.FS

// maxSize bounds an executor in bytes.
const maxSize = 256 << 20

// Executor returns the executor for a platform; false: none is carried.
func Executor(goos, goarch string) ([]byte, bool, error) {
	f, err := files.Open(fmt.Sprintf("cyclopsd-%s-%s.gz", goos, goarch))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, false, fmt.Errorf("unable to unpack the executor for %s/%s: %w", goos, goarch, err)
	}
	data, err := io.ReadAll(io.LimitReader(z, maxSize))
	if err != nil {
		return nil, false, fmt.Errorf("unable to unpack the executor for %s/%s: %w", goos, goarch, err)
	}
	return data, true, nil
}
