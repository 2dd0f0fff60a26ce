//go:build linux

// Package inputs takes in the content of jobs, tells what of it is missing, and frees it when
// no job names it any more.
package inputs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/packs"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// Inputs is the content of an executor's jobs. It is safe for concurrent use.
type Inputs struct {
	data  layout.Data
	store *store.Store

	// mu makes "which packs are named" and "these packs are used now" one question, so that
	// no pack is deleted between its being found and its being named.
	mu   sync.Mutex
	pins map[manifest.Sum]*pin
}

// pin counts who uses a pack now, named in the store or not.
type pin struct {
	users  int
	doomed bool // swept while it was used
}

// New returns the content of the executor whose data directory and store these are.
func New(data layout.Data, s *store.Store) *Inputs {
	return &Inputs{data: data, store: s, pins: map[manifest.Sum]*pin{}}
}

// Pins keep packs from being deleted until they are released.
type Pins struct {
	in   *Inputs
	sums []manifest.Sum
}

// add pins a pack once. in.mu is held.
func (p *Pins) add(sum manifest.Sum) {
	for _, have := range p.sums {
		if have == sum {
			return
		}
	}
	if p.in.pins[sum] == nil {
		p.in.pins[sum] = &pin{}
	}
	p.in.pins[sum].users++
	p.sums = append(p.sums, sum)
}

// Release ends the pins; it may be called twice.
func (p *Pins) Release() {
	if p == nil {
		return
	}
	p.in.mu.Lock()
	defer p.in.mu.Unlock()
	var doomed []store.Pack
	for _, sum := range p.sums {
		pin := p.in.pins[sum]
		if pin.users--; pin.users > 0 {
			continue
		}
		delete(p.in.pins, sum)
		if pin.doomed {
			doomed = append(doomed, store.Pack{Sum: sum})
		}
	}
	p.sums = nil
	p.in.deleteUnnamed(doomed)
}

// deleteUnnamed deletes those of packs that the store does not name again. in.mu is held.
func (in *Inputs) deleteUnnamed(packs []store.Pack) {
	for _, p := range packs {
		if named, err := in.store.HasPack(context.Background(), p.Sum); err == nil && !named {
			os.Remove(in.data.Pack(p.Sum))
		}
	}
}

// Snapshot pins the packs that a snapshot draws on and returns their digests.
func (in *Inputs) Snapshot(ctx context.Context, snapshot manifest.Sum) ([]manifest.Sum, *Pins, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	pins := &Pins{in: in}
	packs, err := in.store.Snapshot(ctx, snapshot)
	if err != nil {
		return nil, nil, fmt.Errorf("unable to find snapshot %s: %w", snapshot, err)
	}
	sums := make([]manifest.Sum, 0, len(packs))
	for _, p := range packs {
		pins.add(p.Sum)
		sums = append(sums, p.Sum)
	}
	return sums, pins, nil
}

// RemoveJobs takes ended jobs out of the store and deletes the packs that only they drew on. It
// returns, in the order of ids, what became of each and the bytes that its packs took.
func (in *Inputs) RemoveJobs(ctx context.Context, ids []string, now time.Time) ([]store.Freed, []int64, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if err := failpoint.At(failpoint.RemoveCommit); err != nil {
		return nil, nil, err
	}
	all, err := in.store.Remove(ctx, ids, now)
	if err != nil {
		return nil, nil, err
	}
	bytes := make([]int64, len(all))
	for i, f := range all {
		bytes[i] = in.delete(f.Packs)
	}
	return all, bytes, nil
}

// Sweep deletes packs that nothing names, and uploads that nobody submitted within the time of a hold.
func (in *Inputs) Sweep(ctx context.Context, now time.Time) error {
	in.mu.Lock()
	var packs []store.Pack
	err := failpoint.Do(failpoint.SweepCommit, func() (err error) { packs, err = in.store.Sweep(ctx, now); return err })
	in.delete(packs)
	in.mu.Unlock()
	if err != nil {
		return fmt.Errorf("unable to sweep packs: %w", err)
	}
	return in.sweepIncoming(now)
}

// delete deletes packs that the store no longer names; those in use go when they are released.
func (in *Inputs) delete(packs []store.Pack) (freed int64) {
	for _, p := range packs {
		if pin := in.pins[p.Sum]; pin != nil {
			pin.doomed = true
			continue
		}
		if failpoint.At(failpoint.RemovePack) == nil && os.Remove(in.data.Pack(p.Sum)) == nil {
			freed += p.Size
		}
	}
	return freed
}

func (in *Inputs) sweepIncoming(now time.Time) error {
	var errs []error
	for _, name := range in.Stale(now) {
		errs = append(errs, os.RemoveAll(filepath.Join(in.data.Incoming(), name)))
	}
	return errors.Join(errs...)
}

// Stale names the uploads in incoming/ that nobody submitted within the time of a hold. What removals
// put there, under names that begin with a dot, is no upload.
func (in *Inputs) Stale(now time.Time) (names []string) {
	entries, _ := os.ReadDir(in.data.Incoming())
	for _, e := range entries {
		if info, err := e.Info(); err == nil && !strings.HasPrefix(e.Name(), ".") && now.Sub(info.ModTime()) > store.HoldTime {
			names = append(names, e.Name())
		}
	}
	return names
}

// Unnamed returns the packs that nothing names or uses, those that the store does not even know
// among them if they are left.
func (in *Inputs) Unnamed(ctx context.Context, now time.Time, left func(path string) bool) ([]store.Pack, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	unnamed, err := in.store.UnnamedPacks(ctx, now)
	if err != nil {
		return nil, fmt.Errorf("unable to list packs: %w", err)
	}
	unknown, err := in.unknown(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range unknown {
		if left(in.data.Pack(p.Sum)) {
			unnamed = append(unnamed, p)
		}
	}
	return slices.DeleteFunc(unnamed, func(p store.Pack) bool { return in.pins[p.Sum] != nil }), nil
}

// RemoveUnnamed deletes a pack unless something names or uses it by now.
func (in *Inputs) RemoveUnnamed(ctx context.Context, p store.Pack, now time.Time) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	forgotten, err := in.store.ForgetPack(ctx, p.Sum, now)
	if err != nil {
		return fmt.Errorf("unable to forget pack %s: %w", p.Sum, err)
	}
	if !forgotten || in.pins[p.Sum] != nil {
		return nil
	}
	return os.Remove(in.data.Pack(p.Sum))
}

// SweepFiles deletes the files of packs that the store does not know, left by a crash between
// the two. Nothing may be accepted meanwhile.
func (in *Inputs) SweepFiles(ctx context.Context) error {
	unknown, err := in.unknown(ctx)
	if err = errors.Join(err, failpoint.At(failpoint.RecoverSweep)); err != nil {
		return err
	}
	for _, p := range unknown {
		os.Remove(in.data.Pack(p.Sum))
	}
	return nil
}

// KeepFiles moves the packs that the store does not know to damaged/, where no sweep deletes them: after
// the database was lost, what is not named may be what a job needs that could not be read.
func (in *Inputs) KeepFiles(ctx context.Context) (kept int, err error) {
	unknown, err := in.unknown(ctx)
	for _, p := range unknown {
		if err := packs.SetAside(in.data, p.Sum); err != nil {
			return kept, err
		}
		kept++
	}
	return kept, err
}

// unknown returns the packs in packs/ that the store does not know.
func (in *Inputs) unknown(ctx context.Context) ([]store.Pack, error) {
	rows, err := in.store.Packs(ctx)
	if err != nil {
		return nil, fmt.Errorf("unable to list packs: %w", err)
	}
	known := map[manifest.Sum]bool{}
	for _, p := range rows {
		known[p.Sum] = true
	}
	all, err := in.files()
	return slices.DeleteFunc(all, func(p store.Pack) bool { return known[p.Sum] }), err
}

// files returns the packs in packs/.
func (in *Inputs) files() ([]store.Pack, error) {
	entries, err := os.ReadDir(in.data.Packs())
	if err != nil {
		return nil, fmt.Errorf("unable to list packs: %w", err)
	}
	var all []store.Pack
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), ".pack")
		sum, err := manifest.Digest("sha256:" + digits).Sum()
		if info, ierr := e.Info(); ok && err == nil && ierr == nil && info.Mode().IsRegular() {
			all = append(all, store.Pack{Sum: sum, Size: info.Size()})
		}
	}
	return all, nil
}
