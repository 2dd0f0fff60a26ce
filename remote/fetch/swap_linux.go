package fetch

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// swap has two names of one directory change places. Old kernels and some file systems cannot: errors.ErrUnsupported.
func swap(in *os.Root, a, b string) error {
	dir, err := in.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	fd := int(dir.Fd())
	switch err := unix.Renameat2(fd, a, fd, b, unix.RENAME_EXCHANGE); {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL):
		return errors.ErrUnsupported
	case err != nil:
		return fmt.Errorf("unable to replace %s: %w", b, err)
	}
	return nil
}
