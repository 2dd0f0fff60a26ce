package term

import (
	"errors"
	"os"
)

// Guard does not exist here: a console forgets its modes with the process that set them.
type Guard struct{}

// StartGuard always fails.
func StartGuard([]string, *os.File, *os.File) (*Guard, error) {
	return nil, errors.ErrUnsupported
}

// ServeGuard does nothing.
func ServeGuard() {}

// Before does nothing.
func (*Guard) Before() error { return nil }

// Raw does nothing.
func (*Guard) Raw() error { return nil }

// Free does nothing.
func (*Guard) Free() error { return nil }

// Undo does nothing.
func (*Guard) Undo(string) {}

// Close does nothing.
func (*Guard) Close() {}
