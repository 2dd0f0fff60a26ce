// Package snapshot describes a job's input tree as content-addressed objects, one for each directory.
package snapshot

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// Limits of a tree. Whatever breaks one is refused, when written and when read.
const (
	MaxName    = 255      // bytes of a name
	MaxTarget  = 4095     // bytes of a symlink's target
	MaxDepth   = 1024     // directories below each other
	MaxEntries = 1 << 22  // entries that Walk and Diff visit in one tree
	MaxObject  = 64 << 20 // bytes of one encoded tree
	MaxSize    = 1 << 55  // bytes and files of a whole tree
)

// Kind says what an entry is. The numbers are part of the format.
type Kind uint8

// The kinds of entries.
const (
	File       Kind = 1
	Executable Kind = 2 // a file that may be executed
	Symlink    Kind = 3
	Dir        Kind = 4
)

// String returns the word for k.
func (k Kind) String() string {
	switch k {
	case File:
		return "file"
	case Executable:
		return "executable"
	case Symlink:
		return "symlink"
	case Dir:
		return "directory"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Regular tells whether an entry of this kind has bytes of its own, as a blob.
func (k Kind) Regular() bool { return k == File || k == Executable }

// Entry is one name in a directory.
type Entry struct {
	Name   string
	Kind   Kind
	Size   int64        // bytes of a file; of a directory, the bytes of all files below it; 0 for a symlink
	Files  int64        // of a directory: files and symlinks below it; otherwise 0
	Sum    manifest.Sum // of a file's bytes or a directory's encoded tree; zero for a symlink
	Target string       // of a symlink
}

// Tree is one directory: its entries, sorted by the bytes of their names.
type Tree []Entry

// Sort brings t into the order that Encode asks for.
func (t Tree) Sort() {
	slices.SortFunc(t, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
}

// Find returns the entry of that name.
func (t Tree) Find(name string) (Entry, bool) {
	i, ok := slices.BinarySearchFunc(t, name, func(e Entry, n string) int { return cmp.Compare(e.Name, n) })
	if !ok {
		return Entry{}, false
	}
	return t[i], true
}

// Totals returns how many files and symlinks t holds, itself and below, and the bytes of the files.
func (t Tree) Totals() (files, bytes int64) {
	for i := range t {
		bytes += t[i].Size
		if t[i].Kind == Dir {
			files += t[i].Files
		} else {
			files++
		}
	}
	return files, bytes
}

// Object encodes t and returns the entry that a parent directory lists it under, with the encoded bytes.
func (t Tree) Object(name string) (Entry, []byte, error) {
	data, err := t.Encode()
	if err != nil {
		return Entry{}, nil, err
	}
	files, bytes := t.Totals()
	return Entry{Name: name, Kind: Dir, Size: bytes, Files: files, Sum: manifest.SumOf(data)}, data, nil
}

// ValidName tells whether s can name an entry: any bytes but NUL and '/', except "." and "..".
func ValidName(s string) bool {
	return s != "" && s != "." && s != ".." && len(s) <= MaxName && !strings.ContainsAny(s, "/\x00")
}

func validTarget(s string) bool {
	return s != "" && len(s) <= MaxTarget && !strings.Contains(s, "\x00")
}

// check reports what makes e impossible in a tree.
func (e *Entry) check() error {
	if !ValidName(e.Name) {
		return fmt.Errorf("name %.300q is not allowed", e.Name)
	}
	if e.Size < 0 || e.Size > MaxSize || e.Files < 0 || e.Files > MaxSize {
		return fmt.Errorf("size %d with %d files of %q is out of range", e.Size, e.Files, e.Name)
	}
	switch e.Kind {
	case File, Executable:
		if e.Files != 0 || e.Target != "" {
			return fmt.Errorf("file %q counts files or has a target", e.Name)
		}
	case Dir:
		if e.Target != "" {
			return fmt.Errorf("directory %q has a target", e.Name)
		}
	case Symlink:
		if !validTarget(e.Target) || e.Size != 0 || e.Files != 0 || !e.Sum.IsZero() {
			return fmt.Errorf("symlink %q needs a target and nothing else", e.Name)
		}
	default:
		return fmt.Errorf("%s of %q is unknown", e.Kind, e.Name)
	}
	return nil
}
