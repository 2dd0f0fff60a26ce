//go:build linux

package daemon

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/space"
)

// explainDisk says what can be done about a disk on which no daemon can begin.
func explainDisk(d layout.Data, err error) error {
	switch {
	case space.IsFull(err):
		return api.Errorf(api.NoSpace, "free some space there", "the disk with %s is full: %w", d, err)
	case errors.Is(err, unix.EROFS):
		return api.Errorf(api.Refused, "it has to be mounted for writing again; the kernel log there says why it is not",
			"the disk with %s is read-only: %w", d, err)
	case errors.Is(err, unix.EIO):
		return api.Errorf(api.Refused, "the kernel log there says what is wrong with it", "the disk with %s failed: %w", d, err)
	}
	return err
}
