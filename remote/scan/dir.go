package scan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// stat is what tells a changed file from an unchanged one.
type stat struct {
	size, mtime, ctime int64 // bytes; Unix nanoseconds
	inode              uint64
	kind               kind
}

// kind is what a name stands for on this machine.
type kind uint8

const (
	special kind = iota // socket, FIFO, device: never part of a snapshot
	regular
	executable
	symlink
	directory
)

// sameType tells whether a and b differ at most in the executable bit.
func (a kind) sameType(b kind) bool {
	return a == b || a+b == regular+executable && a != b && a != special && b != special
}

// entry is a name in a directory that travels.
type entry struct {
	name    string
	stat    stat
	racy    bool // could have changed since without its stat showing it
	unknown bool // git has not yet been asked whether it is ignored
	known   bool // sum or target is that of the file as stat describes it
	sum     manifest.Sum
	target  string
	dir     *dir
}

// skipped is a name in a directory that does not travel.
type skipped struct {
	name string
	kind kind
}

// dir is one directory of the tree, in the index and during a scan.
type dir struct {
	path    string // slash-separated, below the root
	stat    stat
	racy    bool
	repo    bool // holds .git
	dirty   bool // sum is not that of the entries
	entries []entry
	skipped []skipped
	sum     manifest.Sum
	files   int64
	bytes   int64
	object  int64 // size of the tree object
}

func (d *dir) find(name string) *entry {
	i, ok := slices.BinarySearchFunc(d.entries, name, func(e entry, n string) int { return cmp.Compare(e.name, n) })
	if !ok {
		return nil
	}
	return &d.entries[i]
}

func (d *dir) findSkipped(name string) *skipped {
	i, ok := slices.BinarySearchFunc(d.skipped, name, func(s skipped, n string) int { return cmp.Compare(s.name, n) })
	if !ok {
		return nil
	}
	return &d.skipped[i]
}

func (d *dir) skip(name string, k kind) {
	i, ok := slices.BinarySearchFunc(d.skipped, name, func(s skipped, n string) int { return cmp.Compare(s.name, n) })
	if !ok {
		d.skipped = slices.Insert(d.skipped, i, skipped{name, k})
	}
}

// descend returns the directory that holds the last component of path, and that component.
func (d *dir) descend(path string) (*dir, string) {
	for {
		name, rest, more := strings.Cut(path, "/")
		if !more {
			return d, name
		}
		e := d.find(name)
		if e == nil || e.dir == nil {
			return nil, ""
		}
		d, path = e.dir, rest
	}
}

func (d *dir) join(name string) string {
	if d.path == "" {
		return name
	}
	return d.path + "/" + name
}

func (e *entry) snapshot() snapshot.Entry {
	switch e.stat.kind {
	case directory:
		return snapshot.Entry{Name: e.name, Kind: snapshot.Dir, Size: e.dir.bytes, Files: e.dir.files, Sum: e.dir.sum}
	case symlink:
		return snapshot.Entry{Name: e.name, Kind: snapshot.Symlink, Target: e.target}
	case executable:
		return snapshot.Entry{Name: e.name, Kind: snapshot.Executable, Size: e.stat.size, Sum: e.sum}
	}
	return snapshot.Entry{Name: e.name, Kind: snapshot.File, Size: e.stat.size, Sum: e.sum}
}

func (d *dir) snapshotTree() snapshot.Tree {
	t := make(snapshot.Tree, len(d.entries))
	for i := range d.entries {
		t[i] = d.entries[i].snapshot()
	}
	return t
}

// build brings the tree objects up to date, from the leaves on, and tells whether this one changed.
func (d *dir) build() (bool, error) {
	changed := d.dirty
	for i := range d.entries {
		if sub := d.entries[i].dir; sub != nil {
			c, err := sub.build()
			if err != nil {
				return false, err
			}
			changed = changed || c
		}
	}
	if !changed {
		return false, nil
	}
	t := d.snapshotTree()
	e, data, err := t.Object("")
	if err != nil {
		return false, err
	}
	changed = d.sum != e.Sum
	d.dirty, d.sum, d.files, d.bytes, d.object = false, e.Sum, e.Files, e.Size, int64(len(data))
	return changed, nil
}

func (d *dir) objects(skip func(manifest.Sum) bool, fn func(Object) error) error {
	if skip != nil && skip(d.sum) {
		return nil
	}
	if err := fn(Object{Sum: d.sum, Tree: true, Size: d.object, Path: d.path, dir: d}); err != nil {
		return err
	}
	for i := range d.entries {
		if err := d.entries[i].objects(d, skip, fn); err != nil {
			return err
		}
	}
	return nil
}

func (e *entry) objects(in *dir, skip func(manifest.Sum) bool, fn func(Object) error) error {
	switch {
	case e.dir != nil:
		return e.dir.objects(skip, fn)
	case e.stat.kind == symlink || skip != nil && skip(e.sum):
		return nil
	}
	return fn(Object{Sum: e.sum, Size: e.stat.size, Path: in.join(e.name)})
}
