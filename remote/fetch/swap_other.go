//go:build !linux

package fetch

import (
	"errors"
	"os"
)

// swap is not to be had here.
func swap(*os.Root, string, string) error { return errors.ErrUnsupported }
