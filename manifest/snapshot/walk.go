package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// SkipDir, returned for a directory, keeps Walk and Diff out of it.
var SkipDir = fs.SkipDir

// Loader finds tree objects. The zero Sum is never asked for.
type Loader interface {
	Tree(ctx context.Context, sum manifest.Sum) (Tree, error)
}

// Walk calls fn for every entry below root, a directory before what is in it, siblings by
// the order of their names. Paths are slash-separated. A zero root is an empty tree.
func Walk(ctx context.Context, root manifest.Sum, l Loader, fn func(path string, e Entry) error) error {
	return Diff(ctx, manifest.Sum{}, root, l, func(path string, _, e *Entry) error { return fn(path, *e) })
}

// Diff calls fn for every path at which the trees of old and new differ, with the entry on
// either side, or nil where there is none. A directory comes before what is in it, also
// one that is gone or has become a file; then all that was in it comes with a nil new entry.
// A directory on both sides comes when something below it differs. Entries must not be changed or
// kept beyond the call. A zero Sum is an empty tree; equal subtrees are not loaded.
func Diff(ctx context.Context, old, new manifest.Sum, l Loader, fn func(path string, old, new *Entry) error) error {
	d := differ{ctx: ctx, loader: l, fn: fn}
	return d.dir("", old, new, nil, nil)
}

type differ struct {
	ctx     context.Context
	loader  Loader
	fn      func(path string, old, new *Entry) error
	visited int
	depth   int
}

// dir compares two directories; oldEntry and newEntry list them, nil for a root.
func (d *differ) dir(path string, old, new manifest.Sum, oldEntry, newEntry *Entry) error {
	if old == new {
		return nil
	}
	if d.depth++; d.depth > MaxDepth {
		return fmt.Errorf("unable to walk snapshot: %.200q… is more than %d directories deep", path, MaxDepth)
	}
	defer func() { d.depth-- }()
	before, err := d.load(path, old, oldEntry)
	if err != nil {
		return err
	}
	after, err := d.load(path, new, newEntry)
	if err != nil {
		return err
	}
	return d.merge(path, before, after)
}

// load reads one directory. What an entry says of the directory must be so: totals are
// trusted without a walk.
func (d *differ) load(path string, sum manifest.Sum, e *Entry) (Tree, error) {
	if sum.IsZero() {
		return nil, nil
	}
	if err := d.ctx.Err(); err != nil {
		return nil, err
	}
	t, err := d.loader.Tree(d.ctx, sum)
	if err != nil {
		return nil, fmt.Errorf("unable to load directory %q of snapshot: %w", path, err)
	}
	if files, bytes := t.Totals(); e != nil && (files != e.Files || bytes != e.Size) {
		return nil, fmt.Errorf("unable to load directory %q of snapshot: it holds %d files of %d bytes, not %d of %d",
			path, files, bytes, e.Files, e.Size)
	}
	if d.visited += len(t); d.visited > MaxEntries {
		return nil, fmt.Errorf("unable to walk snapshot: more than %d entries", MaxEntries)
	}
	return t, nil
}

// merge goes through both directories in the order of names.
func (d *differ) merge(path string, before, after Tree) error {
	for len(before) > 0 || len(after) > 0 {
		var o, n *Entry
		if len(after) == 0 || len(before) > 0 && before[0].Name <= after[0].Name {
			o = &before[0]
		}
		if len(before) == 0 || len(after) > 0 && after[0].Name <= before[0].Name {
			n = &after[0]
		}
		if o != nil {
			before = before[1:]
		}
		if n != nil {
			after = after[1:]
		}
		if err := d.pair(path, o, n); err != nil {
			return err
		}
	}
	return nil
}

// pair reports one name and descends into what is a directory on either side.
func (d *differ) pair(parent string, o, n *Entry) error {
	if o != nil && n != nil && *o == *n {
		return nil
	}
	path := join(parent, o, n)
	oldSum, oldDir := dirSum(o)
	newSum, newDir := dirSum(n)
	err := d.fn(path, o, n)
	if errors.Is(err, SkipDir) && (oldDir != nil || newDir != nil) {
		return nil
	}
	if err != nil {
		return err
	}
	return d.dir(path, oldSum, newSum, oldDir, newDir)
}

// dirSum returns the tree below e if e is a directory.
func dirSum(e *Entry) (manifest.Sum, *Entry) {
	if e == nil || e.Kind != Dir {
		return manifest.Sum{}, nil
	}
	return e.Sum, e
}

func join(parent string, o, n *Entry) string {
	name := ""
	if n != nil {
		name = n.Name
	} else {
		name = o.Name
	}
	if parent == "" {
		return name
	}
	return parent + "/" + name
}

// MissingError says that a Loader lacks a tree.
type MissingError struct{ Sum manifest.Sum }

func (e *MissingError) Error() string { return "unable to find tree " + e.Sum.String() }
