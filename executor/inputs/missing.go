//go:build linux

package inputs

import (
	"context"
	"errors"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/packs"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// searched is how many packs are looked through for objects: an object that lies only in an
// older one is sent again, which costs bytes and nothing else.
const searched = 64

// Missing answers which of the objects no recent pack holds, and holds the others for job.
func (in *Inputs) Missing(ctx context.Context, r api.MissingRequest) (api.MissingReply, error) {
	n := len(r.Objects) / manifest.DigestSize
	if n*manifest.DigestSize != len(r.Objects) || !manifest.ValidID(r.Job) {
		return api.MissingReply{}, api.Errorf(api.Invalid, "", "unable to read which objects are asked for")
	}
	pins := &Pins{in: in}
	defer pins.Release()
	in.mu.Lock()
	recent, err := in.store.NewestPacks(ctx, searched)
	pinAll(pins, recent)
	in.mu.Unlock()
	if err != nil {
		return api.MissingReply{}, err
	}
	reply, err := in.lookUp(ctx, r, recent, n)
	if err != nil {
		// A damaged pack is as good as never sent.
		if bad, ierr := in.inspect(ctx, recent); bad > 0 && ierr == nil {
			return in.Missing(ctx, r)
		}
	}
	return reply, err
}

func (in *Inputs) lookUp(ctx context.Context, r api.MissingRequest, recent []store.Pack, n int) (reply api.MissingReply, err error) {
	sums := make([]manifest.Sum, len(recent))
	for i, p := range recent {
		sums[i] = p.Sum
	}
	set, err := packs.OpenSet(in.data, sums)
	if err != nil {
		return reply, err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	reply.Missing = make([]byte, (n+7)/8)
	used := map[int]bool{}
	for i := range n {
		at := holder(set, manifest.Sum(r.Objects[i*manifest.DigestSize:]))
		if at < 0 {
			reply.Missing[i/8] |= 1 << (i % 8)
		}
		used[at] = true
	}
	var held []store.Pack
	for i, p := range recent {
		if used[i] {
			held = append(held, p)
		}
	}
	if len(held) == 0 {
		return reply, nil
	}
	return reply, in.store.Hold(ctx, r.Job, held, time.Now())
}

// holder returns the place of the pack that holds an object, or -1.
func holder(set *packs.Set, sum manifest.Sum) int {
	_, r, ok := set.Find(sum)
	for i, reader := range set.Readers() {
		if ok && reader == r {
			return i
		}
	}
	return -1
}
