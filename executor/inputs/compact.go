//go:build linux

package inputs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/packs"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
	"github.com/cyclops-fpga/cyclops/manifest/pack"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// Compact copies what a snapshot of more than MaxPacks packs draws on into one.
func (in *Inputs) Compact(ctx context.Context, root manifest.Sum) error {
	sums, pins, err := in.Snapshot(ctx, root)
	if errors.Is(err, store.ErrNotFound) || err == nil && len(sums) <= MaxPacks {
		pins.Release()
		return nil
	}
	if err != nil {
		return err
	}
	defer pins.Release()
	if err := failpoint.At(failpoint.CompactMerge); err != nil {
		return fmt.Errorf("unable to compact snapshot %s: %w", root, err)
	}
	path, err := in.merge(ctx, root, sums)
	if err != nil {
		return fmt.Errorf("unable to compact snapshot %s: %w", root, err)
	}
	into, err := in.accept(ctx, []string{path}, pins)
	if err != nil || len(into) != 1 {
		return fmt.Errorf("unable to compact snapshot %s: %w", root, errors.Join(err, os.Remove(path)))
	}
	if err := failpoint.Do(failpoint.CompactCommit, func() error { return in.store.Repack(ctx, root, into[0]) }); err != nil {
		return err
	}
	return in.Sweep(ctx, time.Now())
}

// merge writes the live objects of packs into one file in incoming/.
func (in *Inputs) merge(ctx context.Context, root manifest.Sum, sums []manifest.Sum) (path string, err error) {
	set, err := packs.OpenSet(in.data, sums)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	live := map[manifest.Sum]bool{root: true}
	err = snapshot.Walk(ctx, root, set, func(_ string, e snapshot.Entry) error {
		live[e.Sum] = true
		return nil
	})
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(in.data.Incoming(), "merged-*")
	if err != nil {
		return "", err
	}
	_, _, err = pack.Merge(ctx, f, func(sum manifest.Sum) bool { return live[sum] }, set.Readers()...)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}
