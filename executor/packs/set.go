//go:build linux

// Package packs keeps the content of snapshots on a host, in the packs it arrived in.
package packs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/pack"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// cacheSize is how many bytes of decoded frames a Set keeps.
const cacheSize = 8 << 20

// MissingError says that no pack holds an object.
type MissingError struct{ Sum manifest.Sum }

func (e *MissingError) Error() string { return fmt.Sprintf("no pack holds object %s", e.Sum) }

// Set is some packs read as one. It is safe for concurrent use once all packs are in it.
type Set struct {
	cache   *pack.Cache
	readers []*pack.Reader
	files   []*os.File
	sums    map[manifest.Sum]bool
}

// OpenSet opens the packs that have these digests.
func OpenSet(data layout.Data, sums []manifest.Sum) (*Set, error) {
	s := &Set{cache: pack.NewCache(cacheSize), sums: map[manifest.Sum]bool{}}
	for _, sum := range sums {
		if err := s.Add(data, sum); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// Add opens one more pack.
func (s *Set) Add(data layout.Data, sum manifest.Sum) error {
	if s.sums[sum] {
		return nil
	}
	f, err := os.Open(data.Pack(sum))
	if err != nil {
		return fmt.Errorf("unable to open pack: %w", err)
	}
	r, err := openFile(s.cache, f)
	if err != nil {
		return errors.Join(fmt.Errorf("unable to open pack %s: %w", sum, err), f.Close())
	}
	s.readers, s.files, s.sums[sum] = append(s.readers, r), append(s.files, f), true
	return nil
}

// AddClosed is Add of a pack whose file is open only while it is read: a host may have more packs than a
// process may have files.
func (s *Set) AddClosed(data layout.Data, sum manifest.Sum) error {
	f := closedFile(data.Pack(sum))
	info, err := os.Stat(string(f))
	if err != nil {
		return fmt.Errorf("unable to open pack: %w", err)
	}
	r, err := s.cache.Open(f, info.Size())
	if err != nil {
		return fmt.Errorf("unable to open pack %s: %w", sum, err)
	}
	s.readers, s.sums[sum] = append(s.readers, r), true
	return nil
}

// closedFile is the path of a file that is opened for each read.
type closedFile string

// ReadAt implements io.ReaderAt.
func (c closedFile) ReadAt(p []byte, at int64) (int, error) {
	f, err := os.Open(string(c))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.ReadAt(p, at)
}

func openFile(c *pack.Cache, f *os.File) (*pack.Reader, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return c.Open(f, info.Size())
}

// Readers returns the packs in the order they were added.
func (s *Set) Readers() []*pack.Reader { return s.readers }

// Find returns an object and the pack that holds it.
func (s *Set) Find(sum manifest.Sum) (pack.Object, *pack.Reader, bool) {
	for _, r := range s.readers {
		if o, ok := r.Find(sum); ok {
			return o, r, true
		}
	}
	return pack.Object{}, nil, false
}

// Has tells whether a pack holds the object.
func (s *Set) Has(sum manifest.Sum) bool {
	_, _, ok := s.Find(sum)
	return ok
}

// Open returns the bytes of a blob and their number, or a *MissingError.
func (s *Set) Open(sum manifest.Sum) (io.Reader, int64, error) {
	o, r, ok := s.Find(sum)
	if !ok {
		return nil, 0, &MissingError{Sum: sum}
	}
	return r.Reader(o), o.Size, nil
}

// Place returns which pack holds an object, and where in it: reading objects in this order decodes
// every frame once.
func (s *Set) Place(sum manifest.Sum) (index int, offset int64) {
	for i, r := range s.readers {
		if o, ok := r.Find(sum); ok {
			return i, o.Offset
		}
	}
	return len(s.readers), 0
}

// Tree reads one directory of a snapshot, or fails with a *MissingError.
func (s *Set) Tree(ctx context.Context, sum manifest.Sum) (snapshot.Tree, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	o, r, ok := s.Find(sum)
	if !ok {
		return nil, &MissingError{Sum: sum}
	}
	data, err := r.ReadAll(o, snapshot.MaxObject)
	if err != nil {
		return nil, err
	}
	return snapshot.Decode(data)
}

// Close closes every pack.
func (s *Set) Close() error {
	var err error
	for _, f := range s.files {
		err = errors.Join(err, f.Close())
	}
	return err
}
