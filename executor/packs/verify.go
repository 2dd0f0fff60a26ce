//go:build linux

package packs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/durable"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/pack"
)

// Verify reads every byte of a pack that is kept, and fails with an error of the kind Corrupt when
// it is gone or is not what its name says.
func Verify(ctx context.Context, data layout.Data, sum manifest.Sum) error {
	f, err := os.Open(data.Pack(sum))
	if errors.Is(err, os.ErrNotExist) {
		return damaged(sum, errors.New("it is gone"))
	}
	if err != nil {
		return fmt.Errorf("unable to verify pack: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("unable to verify pack: %w", err)
	}
	_, got, err := pack.Verify(ctx, f, info.Size())
	switch {
	case err == nil && got == sum:
		return nil
	case err == nil:
		err = errors.New("its digest is another")
	case errors.As(err, new(*pack.VersionError)):
		return api.Errorf(api.Incompatible, "cyclops install HOST brings the executor up to date", "unable to verify pack %s: %w", sum, err)
	case !pack.IsFormat(err):
		return fmt.Errorf("unable to verify pack: %w", err)
	}
	return damaged(sum, err)
}

func damaged(sum manifest.Sum, err error) error {
	return api.Errorf(api.Corrupt, "run it again: what was in it will be sent again", "pack %s is damaged: %w", sum, err)
}

// SetAside moves a pack that is damaged to where nobody takes it for a sound one. One that is gone stays gone.
func SetAside(data layout.Data, sum manifest.Sum) error {
	err := durable.SetAside(data.Pack(sum), filepath.Join(data.Damaged(), filepath.Base(data.Pack(sum))))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("unable to set pack %s aside: %w", sum, err)
	}
	return nil
}
