//go:build linux

package inputs

import (
	"context"
	"errors"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/packs"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/pack"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// checker finds the objects of a snapshot that no pack holds. What is at the same place in the
// base, which is complete, is not looked at.
type checker struct {
	set     *packs.Set
	base    manifest.Sum
	used    []bool // by reader of set
	seen    map[manifest.Sum]bool
	missing []manifest.Sum
	entries int
}

// has tells whether a pack holds the object, and asks for it otherwise. It answers true only once.
func (c *checker) has(sum manifest.Sum, kind pack.Kind, size int64) (bool, error) {
	if c.seen[sum] {
		return false, nil
	}
	if c.seen == nil {
		c.seen = map[manifest.Sum]bool{}
	}
	c.seen[sum] = true
	o, r, ok := c.set.Find(sum)
	if !ok {
		c.missing = append(c.missing, sum)
		return false, nil
	}
	if o.Kind != kind || size >= 0 && o.Size != size {
		return false, api.Errorf(api.Corrupt, "submit again", "object %s is not what the snapshot says of it", sum)
	}
	for i, reader := range c.set.Readers() {
		if reader == r {
			c.used[i] = true
		}
	}
	return true, nil
}

// dir checks the directory now, which stands where the base has old; e is what its parent says of it.
func (c *checker) dir(ctx context.Context, old, now manifest.Sum, e *snapshot.Entry, depth int) error {
	if old == now || now.IsZero() {
		return nil
	}
	if depth > snapshot.MaxDepth {
		return api.Errorf(api.Refused, "", "it is more than %d directories deep", snapshot.MaxDepth)
	}
	ok, err := c.has(now, pack.Tree, -1)
	if err != nil || !ok {
		return err
	}
	tree, err := c.set.Tree(ctx, now)
	if err != nil {
		return err
	}
	if c.entries += len(tree); c.entries > snapshot.MaxEntries {
		return api.Errorf(api.Refused, "", "it has more than %d entries", snapshot.MaxEntries)
	}
	if files, bytes := tree.Totals(); e != nil && (files != e.Files || bytes != e.Size) {
		return api.Errorf(api.Corrupt, "submit again", "directory %s does not hold what its parent says", now)
	}
	before, err := c.before(ctx, old)
	if err != nil {
		return err
	}
	for i := range tree {
		if err := c.entry(ctx, before, &tree[i], depth); err != nil {
			return err
		}
	}
	return nil
}

// before returns the base's directory. It may have been lost with a damaged pack: then
// everything is looked at.
func (c *checker) before(ctx context.Context, old manifest.Sum) (snapshot.Tree, error) {
	if old.IsZero() {
		return nil, nil
	}
	tree, err := c.set.Tree(ctx, old)
	if lost, ok := errors.AsType[*packs.MissingError](err); ok && lost.Sum == old {
		return nil, nil
	}
	return tree, err
}

func (c *checker) entry(ctx context.Context, before snapshot.Tree, e *snapshot.Entry, depth int) error {
	o, _ := before.Find(e.Name)
	if o == *e {
		return nil
	}
	if e.Kind.Regular() {
		_, err := c.has(e.Sum, pack.Blob, e.Size)
		return err
	}
	if e.Kind != snapshot.Dir {
		return nil
	}
	if o.Kind != snapshot.Dir {
		o.Sum = manifest.Sum{}
	}
	return c.dir(ctx, o.Sum, e.Sum, e, depth+1)
}
