package pack

import (
	"context"
	"fmt"
	"io"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// Merge writes one pack with the live objects of several and returns its digest and size.
// Frames at least half of which is live are copied as they are, what is live in the others is
// compressed anew, so that at least half of the result is live. live must not change its mind meanwhile.
func Merge(ctx context.Context, out io.Writer, live func(manifest.Sum) bool, packs ...*Reader) (manifest.Sum, int64, error) {
	w := NewWriter(out)
	defer w.zip.wait()
	plans := make([]*mergePlan, len(packs))
	for i, r := range packs {
		plans[i] = planMerge(w, r, live)
		if err := w.copyFrames(ctx, plans[i]); err != nil {
			return manifest.Sum{}, 0, fmt.Errorf("unable to merge packs: %w", err)
		}
	}
	for _, p := range plans {
		if err := w.addRest(ctx, p); err != nil {
			return manifest.Sum{}, 0, fmt.Errorf("unable to merge packs: %w", err)
		}
	}
	return w.Close()
}

// mergePlan says what becomes of one pack.
type mergePlan struct {
	pack    *Reader
	objects []Object // live ones that the result lacks so far, by offset
	copied  []bool   // by frame
}

// planMerge chooses the frames to copy. An object counts for its frames only if all of them
// are copied, so the choice is made again until nothing changes.
func planMerge(w *Writer, r *Reader, live func(manifest.Sum) bool) *mergePlan {
	p := &mergePlan{pack: r, copied: make([]bool, len(r.frames))}
	for _, o := range r.InOrder() {
		if live(o.Sum) && !w.Has(o.Sum) {
			p.objects = append(p.objects, o)
		}
	}
	for i := range p.copied {
		p.copied[i] = true
	}
	for p.narrow() {
	}
	return p
}

// narrow takes out the frames of which less than half is live, and tells whether there was one.
func (p *mergePlan) narrow() bool {
	use := make([]int64, len(p.copied))
	for _, o := range p.objects {
		if !p.whole(o) {
			continue
		}
		for i := p.pack.frameAt(o.Offset); i < len(use) && p.pack.frames[i].raw < o.Offset+o.Size; i++ {
			f := p.pack.frames[i]
			use[i] += min(o.Offset+o.Size, f.raw+f.size) - max(o.Offset, f.raw)
		}
	}
	changed := false
	for i, f := range p.pack.frames {
		if p.copied[i] && use[i]*2 < f.size {
			p.copied[i], changed = false, true
		}
	}
	return changed
}

// whole tells whether all frames of o are copied. An object without bytes is in none.
func (p *mergePlan) whole(o Object) bool {
	if o.Size == 0 {
		return false
	}
	for i := p.pack.frameAt(o.Offset); i < len(p.copied) && p.pack.frames[i].raw < o.Offset+o.Size; i++ {
		if !p.copied[i] {
			return false
		}
	}
	return true
}

// copyFrames copies what p has chosen and takes over the objects in it.
func (w *Writer) copyFrames(ctx context.Context, p *mergePlan) error {
	moved := make([]int64, len(p.copied)) // raw offset in the result minus that in the pack
	for i, f := range p.pack.frames {
		if !p.copied[i] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		packed := make([]byte, f.packed)
		if err := readAt(p.pack.file, packed, f.at); err != nil {
			return err
		}
		moved[i] = w.raw - f.raw
		w.raw += f.size
		if w.err = w.out.frame(packed, f.size); w.err != nil {
			return w.err
		}
	}
	for _, o := range p.objects {
		if p.whole(o) && len(w.known) < MaxObjects {
			o.Offset += moved[p.pack.frameAt(o.Offset)]
			w.objects = append(w.objects, o)
			w.known[o.Sum] = struct{}{}
		}
	}
	return nil
}

// addRest compresses anew what was not in a copied frame.
func (w *Writer) addRest(ctx context.Context, p *mergePlan) error {
	for _, o := range p.objects {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.Add(o.Kind, o.Sum, o.Size, p.pack.Reader(o)); err != nil {
			return err
		}
	}
	return nil
}
