//go:build linux

package inputs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/packs"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// MaxPacks is how many packs a snapshot may draw on before it is compacted.
const MaxPacks = 32

// MaxBases bounds how many bases a request may name: the client remembers eight.
const MaxBases = 16

// Request is what a client sent for a job.
type Request struct {
	Job      string
	Snapshot manifest.Sum
	Bases    []manifest.Sum
	Files    []string // paths of packs that have not been verified yet; they are taken
}

// Gathered is a snapshot that is complete on this host; its packs stay until Release.
type Gathered struct {
	*Pins
	Packs []store.Pack
	New   bool // not complete before
}

// Gather verifies the packs that came and tells whether the snapshot is complete. If not, it
// says what is missing, and what came is held for the job.
func (in *Inputs) Gather(ctx context.Context, r Request) (*Gathered, *api.Missing, error) {
	g := &Gathered{Pins: &Pins{in: in}}
	missing, err := in.gather(ctx, r, g)
	if err != nil || missing != nil {
		g.Release()
		return nil, missing, err
	}
	return g, nil, nil
}

func (in *Inputs) gather(ctx context.Context, r Request, g *Gathered) (*api.Missing, error) {
	came, err := in.accept(ctx, r.Files, g.Pins)
	if err != nil {
		return nil, err
	}
	have, missing, err := in.complete(ctx, r, g, came)
	if err == nil && g.New {
		return nil, nil // the job names what came itself
	}
	if err = errors.Join(err, in.hold(ctx, r.Job, came)); err != nil || missing == nil {
		return nil, err
	}
	m := &api.Missing{UnknownBases: have.unknown}
	// Without anything to compare with, the client is quicker told to send all than which.
	if len(have.unknown) == 0 || !have.base.IsZero() {
		m.Objects = join(missing)
	}
	return m, nil
}

// complete finds the packs that hold the snapshot, or what of it none holds. Packs that turn out to
// be damaged are as good as never sent.
func (in *Inputs) complete(ctx context.Context, r Request, g *Gathered, came []store.Pack) (stock, []manifest.Sum, error) {
	for {
		have, err := in.known(ctx, r, g.Pins)
		if err != nil || have.complete {
			g.Packs = have.packs
			return have, nil, err
		}
		c := &checker{base: have.base}
		if g.Packs, err = in.check(ctx, c, r.Snapshot, have, came); err == nil {
			g.New = len(c.missing) == 0
			return have, c.missing, nil
		}
		if bad, ierr := in.inspect(ctx, slices.Concat(have.packs, have.more)); bad == 0 || ierr != nil {
			return have, nil, errors.Join(err, ierr)
		}
	}
}

func join(sums []manifest.Sum) []byte {
	out := make([]byte, 0, len(sums)*manifest.DigestSize)
	for _, s := range sums {
		out = append(out, s[:]...)
	}
	return out
}

func (in *Inputs) hold(ctx context.Context, job string, came []store.Pack) error {
	if len(came) == 0 {
		return nil
	}
	return failpoint.Do(failpoint.PackHold, func() error { return in.store.Hold(ctx, job, came, time.Now()) })
}

// accept verifies packs and pins them.
func (in *Inputs) accept(ctx context.Context, files []string, pins *Pins) ([]store.Pack, error) {
	var came []store.Pack
	for _, path := range files {
		a, err := packs.Accept(ctx, in.data, path)
		if errors.Is(err, os.ErrNotExist) {
			continue // taken by an earlier request, whose answer a broken line lost
		}
		if err != nil {
			return nil, err
		}
		in.mu.Lock()
		pins.add(a.Sum)
		in.mu.Unlock()
		// The same pack may have been swept before it was pinned; then it counts as not sent.
		if _, err := os.Lstat(in.data.Pack(a.Sum)); err == nil {
			came = append(came, store.Pack{Sum: a.Sum, Size: a.Size})
		}
	}
	return came, nil
}

// stock is what the store knows that may help to complete a snapshot.
type stock struct {
	complete bool
	base     manifest.Sum // a complete snapshot to compare with; zero: none
	packs    []store.Pack // of the base, or of the snapshot itself when it is complete
	more     []store.Pack // of the other bases and held for the job
	unknown  []manifest.Digest
}

func (in *Inputs) known(ctx context.Context, r Request, pins *Pins) (stock, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	var s stock
	drawn, err := in.drawn(ctx, r.Snapshot)
	if err == nil {
		s.complete, s.packs = true, pinAll(pins, drawn)
		return s, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return s, err
	}
	for _, base := range r.Bases[:min(len(r.Bases), MaxBases)] {
		drawn, err := in.drawn(ctx, base)
		switch {
		case errors.Is(err, store.ErrNotFound):
			s.unknown = append(s.unknown, base.Digest())
		case err != nil:
			return s, err
		case s.base.IsZero():
			s.base, s.packs = base, pinAll(pins, drawn)
		default:
			s.more = append(s.more, pinAll(pins, drawn)...)
		}
	}
	held, err := in.store.Held(ctx, r.Job)
	s.more = append(s.more, pinAll(pins, held)...)
	return s, err
}

// drawn returns the packs that a snapshot draws on; one of which some are gone is not found. in.mu is held.
func (in *Inputs) drawn(ctx context.Context, snapshot manifest.Sum) ([]store.Pack, error) {
	drawn, err := in.store.Snapshot(ctx, snapshot)
	if err != nil {
		return nil, err
	}
	if whole, err := in.whole(ctx, drawn); err != nil || whole {
		return drawn, err
	}
	return nil, store.ErrNotFound
}

func pinAll(pins *Pins, all []store.Pack) []store.Pack {
	for _, p := range all {
		pins.add(p.Sum)
	}
	return all
}

// check looks for what of a snapshot is missing and returns the packs that it draws on.
func (in *Inputs) check(ctx context.Context, c *checker, snapshot manifest.Sum, s stock, came []store.Pack) ([]store.Pack, error) {
	set, err := packs.OpenSet(in.data, nil)
	if err != nil {
		return nil, err
	}
	defer set.Close()
	// A pack is named once: its place in all is that of its reader in the set.
	var all []store.Pack
	for _, p := range slices.Concat(s.packs, came, s.more) {
		if slices.Contains(all, p) {
			continue
		}
		if err := set.Add(in.data, p.Sum); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	if err := failpoint.At(failpoint.PackCheck); err != nil {
		return nil, fmt.Errorf("unable to check snapshot %s: %w", snapshot, err)
	}
	c.set, c.used = set, make([]bool, len(all))
	if err := c.dir(ctx, s.base, snapshot, nil, 0); err != nil {
		return nil, fmt.Errorf("unable to check snapshot %s: %w", snapshot, err)
	}
	var drawn []store.Pack
	for i, p := range all {
		// What is equal to the base is not looked at, so all packs of the base stay.
		if i < len(s.packs) || c.used[i] {
			drawn = append(drawn, p)
		}
	}
	return drawn, nil
}

// Upload returns the path of a file in incoming/ that a client names.
func (in *Inputs) Upload(name string) (string, error) {
	if !manifest.ValidWorkspaceName(name) {
		return "", api.Errorf(api.Invalid, "", "%q is no name of an upload", name)
	}
	return filepath.Join(in.data.Incoming(), name), nil
}
