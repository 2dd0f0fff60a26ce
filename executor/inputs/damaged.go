//go:build linux

package inputs

import (
	"context"
	"errors"
	"os"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/packs"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// Inspect reads the packs that a snapshot draws on and sets aside those that are damaged, so that
// what was in them is asked for again. It returns how many there were.
func (in *Inputs) Inspect(ctx context.Context, snapshot manifest.Sum) (int, error) {
	drawn, err := in.store.Snapshot(ctx, snapshot)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return in.inspect(ctx, drawn)
}

func (in *Inputs) inspect(ctx context.Context, all []store.Pack) (bad int, err error) {
	for _, p := range all {
		err := packs.Verify(ctx, in.data, p.Sum)
		if err == nil {
			continue
		}
		if api.KindOf(err) != api.Corrupt {
			return bad, err
		}
		if err := in.Drop(ctx, p); err != nil {
			return bad, err
		}
		bad++
	}
	return bad, nil
}

// Drop sets a damaged pack aside and forgets it, with the snapshots that drew on it.
func (in *Inputs) Drop(ctx context.Context, p store.Pack) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.drop(ctx, p)
}

func (in *Inputs) drop(ctx context.Context, p store.Pack) error {
	return errors.Join(packs.SetAside(in.data, p.Sum), in.store.Forget(ctx, p))
}

// whole tells whether packs are there, of their size, and drops those that are not. What is in
// them is looked at by whoever reads it. in.mu is held.
func (in *Inputs) whole(ctx context.Context, all []store.Pack) (bool, error) {
	whole := true
	for _, p := range all {
		if info, err := os.Lstat(in.data.Pack(p.Sum)); err == nil && info.Size() == p.Size {
			continue
		}
		whole = false
		if err := in.drop(ctx, p); err != nil {
			return false, err
		}
	}
	return whole, nil
}
