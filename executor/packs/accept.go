//go:build linux

package packs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/durable"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
	"github.com/cyclops-fpga/cyclops/manifest/pack"
)

// Accepted is a pack that was verified and is durable under its digest.
type Accepted struct {
	Sum  manifest.Sum
	Size int64 // bytes
}

// Accept verifies every byte of the file at path, which lies in incoming/, and moves it to where
// packs are kept. A file that fails is removed. A pack that is there already stays as it is.
func Accept(ctx context.Context, data layout.Data, path string) (Accepted, error) {
	a, err := accept(ctx, data, path)
	if err == nil {
		return a, nil
	}
	if ctx.Err() == nil {
		err = errors.Join(err, removeIfThere(path))
	}
	return a, fmt.Errorf("unable to accept pack: %w", err)
}

func accept(ctx context.Context, data layout.Data, path string) (Accepted, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return Accepted{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Accepted{}, err
	}
	if !info.Mode().IsRegular() {
		return Accepted{}, api.Errorf(api.Refused, "", "%s is no regular file", filepath.Base(path))
	}
	if err := failpoint.At(failpoint.PackVerify); err != nil {
		return Accepted{}, err
	}
	_, sum, err := pack.Verify(ctx, f, info.Size())
	if version, ok := errors.AsType[*pack.VersionError](err); ok {
		return Accepted{}, api.Errorf(api.Incompatible, "cyclops install HOST brings the executor up to date", "%w", version)
	}
	if pack.IsFormat(err) {
		return Accepted{}, api.Errorf(api.Corrupt, "submit again", "the pack arrived damaged: %w", err)
	}
	if err != nil {
		return Accepted{}, err
	}
	return Accepted{Sum: sum, Size: info.Size()}, keep(data, f, path, sum)
}

// keep makes the file durable before its name says that it is whole.
func keep(data layout.Data, f *os.File, path string, sum manifest.Sum) error {
	if _, err := os.Lstat(data.Pack(sum)); err == nil {
		return errors.Join(removeIfThere(path), syncPacks(data))
	}
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	if err := failpoint.Do(failpoint.PackSync, f.Sync); err != nil {
		return err
	}
	if err := failpoint.Do(failpoint.PackRename, func() error { return os.Rename(path, data.Pack(sum)) }); err != nil {
		if _, there := os.Lstat(data.Pack(sum)); there != nil {
			return err
		}
		// A request that was sent twice kept it just now.
	}
	return syncPacks(data)
}

// syncPacks makes the names of packs durable, one that another request gave just now too.
func syncPacks(data layout.Data) error {
	return failpoint.Do(failpoint.PackSyncDir, func() error { return durable.SyncDir(data.Packs()) })
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
