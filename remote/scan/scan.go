// Package scan turns a working tree into a snapshot: it chooses the files, reads those that changed and names every object.
package scan

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
	"github.com/cyclops-fpga/cyclops/remote/place"
)

// Options say what to take.
type Options struct {
	Root     string         // of the tree; made absolute
	WithGit  bool           // .git travels too
	Dirs     place.Dirs     // the stat index lies in Cache
	Progress func(Progress) // called about ten times a second, from one goroutine; may be nil
}

// Progress counts what a scan has done so far.
type Progress struct {
	Files  int64 // looked at
	Hashed int64 // bytes read
}

// Tree is a snapshot of a working tree, with what is needed to read its objects again.
type Tree struct {
	Root     manifest.Sum // digest of the root's tree object: the snapshot's
	Files    int64        // files and symlinks
	Bytes    int64        // of all files
	Git      *manifest.Git
	Excludes []string // globs of .cyclopsignore: never outputs
	Read     int64    // bytes that had to be read for this scan

	dir  string // absolute
	root *dir
}

// Object is one object of a snapshot.
type Object struct {
	Sum  manifest.Sum
	Tree bool // a directory's tree object; otherwise a file's bytes
	Size int64
	Path string // slash-separated, below the root
	dir  *dir
}

// Take makes a snapshot of the tree below o.Root. Errors that a person can mend are *api.Error.
func Take(ctx context.Context, o Options) (*Tree, error) {
	abs, err := filepath.Abs(o.Root)
	if err != nil {
		return nil, fmt.Errorf("unable to find %s: %w", o.Root, err)
	}
	s := &scanner{root: abs, withGit: o.WithGit, started: time.Now().UnixNano()}
	defer s.report(o.Progress)()
	file := indexFile(o.Dirs.Cache, abs, o.WithGit)
	s.old = loadIndex(file)
	t, err := s.take(ctx)
	if err != nil {
		return nil, err
	}
	if s.learnt.Load() {
		// Without an index the next scan is slow, not wrong: a full or read-only cache must not stop a job.
		_ = s.index().save(file)
	}
	return t, nil
}

// report calls fn until the returned function is called.
func (s *scanner) report(fn func(Progress)) func() {
	if fn == nil {
		return func() {}
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				fn(Progress{Files: s.files.Load(), Hashed: s.hashed.Load()})
				return
			case <-tick.C:
				fn(Progress{Files: s.files.Load(), Hashed: s.hashed.Load()})
			}
		}
	}()
	return func() { close(stop); <-done }
}

// scanner is one scan under way.
type scanner struct {
	root    string
	withGit bool
	started int64 // Unix nanoseconds, before anything was looked at
	old     *index
	ignore  *ignoreFile
	repos   repoSet
	tree    *dir
	git     *gitState

	files, hashed atomic.Int64
	learnt        atomic.Bool // the index on disk is out of date
}

// Lookup returns the entry at a slash-separated path.
func (t *Tree) Lookup(path string) (snapshot.Entry, bool) {
	d, name := t.root.descend(path)
	if d == nil {
		return snapshot.Entry{}, false
	}
	e := d.find(name)
	if e == nil {
		return snapshot.Entry{}, false
	}
	return e.snapshot(), true
}

// Dir returns the absolute path of the tree.
func (t *Tree) Dir() string { return t.dir }

// Objects calls fn for every object of the snapshot, a directory before what is in it. Directories
// for which skip tells that the other side has them are left out with all that is below. Equal
// objects come as often as they occur.
func (t *Tree) Objects(skip func(manifest.Sum) bool, fn func(Object) error) error {
	return t.root.objects(skip, fn)
}

// Open returns the bytes of an object. A file may have changed since the scan: whoever reads compares the digest.
func (t *Tree) Open(o Object) (io.ReadCloser, error) {
	if !o.Tree {
		return openFile(filepath.Join(t.dir, filepath.FromSlash(o.Path)))
	}
	data, err := o.dir.snapshotTree().Encode()
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}
