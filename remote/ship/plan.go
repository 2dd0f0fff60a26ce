package ship

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/pack"
	"github.com/cyclops-fpga/cyclops/remote/scan"
)

// InlineLimit is how many bytes of content, before compression, ride in the submit itself.
const InlineLimit = 256 << 10

// Plan is what one submit sends.
type Plan struct {
	Tree    *scan.Tree
	Bases   []manifest.Digest // snapshots that the host is to have; the plan leaves out what they hold
	Objects []scan.Object     // to send, each once, directories before what is in them
	Bytes   int64             // of the objects, before compression
}

// NewPlan plans to send of t what no snapshot in m has. It names no base that nothing is taken from.
func NewPlan(t *scan.Tree, m *Memory) *Plan {
	p := &Plan{Tree: t}
	var used uint8
	seen := map[manifest.Sum]bool{}
	skip := func(sum manifest.Sum) bool {
		from, ok := m.newest(m.mask(sum))
		if ok {
			used |= 1 << from.bit
		}
		return ok
	}
	// An error can come from the callback alone, and this one makes none.
	_ = t.Objects(skip, func(o scan.Object) error {
		if !seen[o.Sum] {
			seen[o.Sum] = true
			p.Objects = append(p.Objects, o)
			p.Bytes += o.Size
		}
		return nil
	})
	for _, s := range slices.Backward(m.order) {
		if used&(1<<s.bit) != 0 {
			p.Bases = append(p.Bases, s.root.Digest())
		}
	}
	return p
}

// Empty tells whether there is nothing to send.
func (p *Plan) Empty() bool { return len(p.Objects) == 0 }

// Inline tells whether the pack is small enough to ride in the submit.
func (p *Plan) Inline() bool { return p.Bytes <= InlineLimit }

// After returns the plan for what the host answered to a Submit: the objects that it lacks beside those of p, which it
// has by now and which are named again. The bases that it does not know are forgotten.
func (p *Plan) After(missing api.Missing, m *Memory) (*Plan, error) {
	if err := m.Forget(missing.UnknownBases...); err != nil {
		return nil, err
	}
	if len(missing.Objects) == 0 {
		next := NewPlan(p.Tree, m)
		next.drop(p.Objects)
		return next, nil
	}
	sums, err := splitSums(missing.Objects)
	if err != nil {
		return nil, err
	}
	next := &Plan{Tree: p.Tree}
	for _, b := range p.Bases {
		if !slices.Contains(missing.UnknownBases, b) {
			next.Bases = append(next.Bases, b)
		}
	}
	return next, next.pick(sums)
}

// drop takes out what was sent before.
func (p *Plan) drop(sent []scan.Object) {
	has := map[manifest.Sum]bool{}
	for _, o := range sent {
		has[o.Sum] = true
	}
	p.Objects = slices.DeleteFunc(p.Objects, func(o scan.Object) bool { return has[o.Sum] })
	p.Bytes = 0
	for _, o := range p.Objects {
		p.Bytes += o.Size
	}
}

func splitSums(raw []byte) (map[manifest.Sum]bool, error) {
	if len(raw)%manifest.DigestSize != 0 {
		return nil, api.Errorf(api.Invalid, "", "unable to read which objects the host lacks: %d bytes are no list of digests", len(raw))
	}
	sums := make(map[manifest.Sum]bool, len(raw)/manifest.DigestSize)
	for sum := range slices.Chunk(raw, manifest.DigestSize) {
		sums[manifest.Sum(sum)] = true
	}
	return sums, nil
}

// pick plans the named objects; one that the snapshot does not have is the host's mistake.
func (p *Plan) pick(sums map[manifest.Sum]bool) error {
	err := p.Tree.Objects(nil, func(o scan.Object) error {
		if sums[o.Sum] {
			delete(sums, o.Sum)
			p.Objects = append(p.Objects, o)
			p.Bytes += o.Size
		}
		return nil
	})
	if err == nil && len(sums) > 0 {
		err = api.Errorf(api.Invalid, "", "unable to send what the host asks for: %d objects are not in the snapshot", len(sums))
	}
	return err
}

// Sums returns the digests of the objects, for a MissingRequest.
func (p *Plan) Sums() []byte {
	raw := make([]byte, 0, len(p.Objects)*manifest.DigestSize)
	for _, o := range p.Objects {
		raw = append(raw, o.Sum[:]...)
	}
	return raw
}

// Keep leaves in the plan only what a MissingReply to its Sums says is missing.
func (p *Plan) Keep(missing []byte) error {
	if len(missing) < (len(p.Objects)+7)/8 {
		return api.Errorf(api.Invalid, "", "unable to read which objects the host lacks: %d bytes for %d objects", len(missing), len(p.Objects))
	}
	kept := p.Objects[:0]
	p.Bytes = 0
	for i, o := range p.Objects {
		if missing[i/8]&(1<<(i%8)) != 0 {
			kept = append(kept, o)
			p.Bytes += o.Size
		}
	}
	p.Objects = kept
	return nil
}

// ChangedError says that a file is no longer what the snapshot says. The remedy is a new snapshot.
type ChangedError struct{ Path string }

func (e *ChangedError) Error() string {
	return "unable to send " + e.Path + ": it changed since the snapshot"
}

// Write writes the pack and returns its digest and size. progress, which may be nil, is told how many bytes of content
// are done. A *ChangedError means that the tree must be scanned again.
func (p *Plan) Write(ctx context.Context, w io.Writer, progress func(done int64)) (manifest.Sum, int64, error) {
	pw := pack.NewWriter(w)
	var done int64
	var err error
	for _, o := range p.Objects {
		if err = ctx.Err(); err == nil {
			err = p.add(pw, o)
		}
		if err != nil {
			break
		}
		if done += o.Size; progress != nil {
			progress(done)
		}
	}
	sum, size, closeErr := pw.Close()
	if err == nil {
		err = closeErr
	}
	return sum, size, err
}

func (p *Plan) add(pw *pack.Writer, o scan.Object) error {
	kind := pack.Blob
	if o.Tree {
		kind = pack.Tree
	}
	r, err := p.Tree.Open(o)
	if err != nil {
		return &ChangedError{o.Path}
	}
	defer r.Close()
	counted := &counter{r: r}
	err = pw.Add(kind, o.Sum, o.Size, counted)
	var mismatch *pack.MismatchError
	if errors.As(err, &mismatch) || counted.failed {
		return &ChangedError{o.Path}
	}
	return err
}

// counter tells an error of reading from one of writing.
type counter struct {
	r      io.Reader
	failed bool
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.failed = c.failed || err != nil && !errors.Is(err, io.EOF)
	return n, err
}

// attempts is how often a tree that changes while it is sent is scanned before the file is named.
const attempts = 3

// Stable calls send with tree, and with a new one from again each time a file changed meanwhile. After three times it
// names the file. It returns the tree that was sent.
func Stable(ctx context.Context, tree *scan.Tree, again func(context.Context) (*scan.Tree, error), send func(context.Context, *scan.Tree) error) (*scan.Tree, error) {
	for n := 1; ; n++ {
		err := send(ctx, tree)
		var changed *ChangedError
		if !errors.As(err, &changed) {
			return tree, err
		}
		if n == attempts {
			return nil, scan.Changing(changed.Path)
		}
		if tree, err = again(ctx); err != nil {
			return nil, fmt.Errorf("unable to scan again after %s changed: %w", changed.Path, err)
		}
	}
}
