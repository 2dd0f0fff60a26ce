package term

import (
	"errors"
	"os"
)

// Guard does not exist here: a console forgets its modes with the process that set them.
type Guard struct{}

type settings struct{}

func settingsOf(*os.File) (settings, error) { return settings{}, errors.ErrUnsupported }

// StartGuard always fails.
func StartGuard([]string, *os.File, *os.File) (*Guard, error) { return nil, errors.ErrUnsupported }

// ServeGuard does nothing.
func ServeGuard() {}

func (*Guard) arm(settings, settings) {}

func (*Guard) disarm() {}

// Undo does nothing.
func (*Guard) Undo(string) {}

// Close does nothing.
func (*Guard) Close() {}
