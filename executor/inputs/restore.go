//go:build linux

package inputs

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/cyclops-fpga/cyclops/executor/packs"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
	"github.com/cyclops-fpga/cyclops/manifest/pack"
)

// ErrIncomplete says that no packs hold all of a snapshot, so that trying again finds no more.
var ErrIncomplete = errors.New("it is not complete any more")

// Restorer finds out what snapshots draw on where the database does not know it. It opens each pack
// once, whatever the number of snapshots.
type Restorer struct {
	in  *Inputs
	set *packs.Set
	all []store.Pack // in the order of the readers of set
}

// Restorer opens every pack that is there. A damaged one is set aside: it must not cost a snapshot its
// inputs that has nothing in it. One that cannot be read now is an error, for it may be sound.
func (in *Inputs) Restorer(ctx context.Context) (*Restorer, error) {
	r := &Restorer{in: in}
	return r, r.open(ctx)
}

func (r *Restorer) open(ctx context.Context) error {
	files, err := r.in.files()
	if err != nil {
		return err
	}
	r.all = nil
	if r.set, err = packs.OpenSet(r.in.data, nil); err != nil {
		return err
	}
	for _, p := range files {
		if err := r.add(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (r *Restorer) add(ctx context.Context, p store.Pack) error {
	err := r.set.AddClosed(r.in.data, p.Sum)
	switch {
	case err == nil:
		r.all = append(r.all, p)
	case pack.IsFormat(err):
		return r.in.Drop(ctx, p)
	case errors.As(err, new(*pack.VersionError)): // it is of no snapshot that this executor took
		return nil
	}
	return err
}

// Restore records which packs a snapshot draws on, or fails with ErrIncomplete.
func (r *Restorer) Restore(ctx context.Context, snapshot manifest.Sum) error {
	for {
		drawn, err := r.drawn(ctx, snapshot)
		if err == nil {
			return r.in.store.AddSnapshot(ctx, snapshot, drawn)
		}
		if errors.Is(err, ErrIncomplete) || ctx.Err() != nil || errors.As(err, new(syscall.Errno)) {
			return err
		}
		bad, ierr := r.in.inspect(ctx, drawn)
		if ierr != nil {
			return errors.Join(err, ierr)
		}
		if bad == 0 {
			return fmt.Errorf("%w: %w", err, ErrIncomplete)
		}
		if err := r.open(ctx); err != nil {
			return err
		}
	}
}

// drawn returns the packs that hold a snapshot, or those in which the error was met.
func (r *Restorer) drawn(ctx context.Context, snapshot manifest.Sum) (drawn []store.Pack, err error) {
	c := &checker{set: r.set, used: make([]bool, len(r.all))}
	if err = failpoint.At(failpoint.RebuildInputs); err == nil {
		err = c.dir(ctx, manifest.Sum{}, snapshot, nil, 0)
	}
	for i, p := range r.all {
		if c.used[i] {
			drawn = append(drawn, p)
		}
	}
	if err == nil && len(c.missing) > 0 {
		err = fmt.Errorf("%d objects are missing: %w", len(c.missing), ErrIncomplete)
	}
	if err != nil {
		return drawn, fmt.Errorf("unable to restore snapshot %s: %w", snapshot, err)
	}
	return drawn, nil
}
