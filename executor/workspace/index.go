//go:build linux

package workspace

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// index is what an apply left behind: every input with the stat it had then. A file whose stat is
// still the same is not read again.
//
// It is never fsynced. After a loss of power a file may have the right size and times and the
// wrong bytes, so stats are believed only during the boot that recorded them; after it every
// input is read once.
type index struct {
	boot string
	root *dir
}

// dir is a directory of inputs. A zero sum says that it is put together from several snapshots.
type dir struct {
	sum     manifest.Sum
	entries []entry // sorted by name
}

// entry is an input, or what could be one after an interrupted apply.
type entry struct {
	snapshot.Entry
	stamp stamp
	types fileType // what may be found under the name and be ours
	dir   *dir     // of a directory
}

// stamp identifies one state of a file. The zero stamp matches none.
type stamp struct {
	mtime, ctime int64 // Unix nanoseconds
	ino          uint64
	mode         uint32
}

func stampOf(st *unix.Stat_t) stamp {
	return stamp{mtime: unix.TimespecToNsec(st.Mtim), ctime: unix.TimespecToNsec(st.Ctim), ino: st.Ino, mode: st.Mode}
}

// fileType is a set of types of files.
type fileType uint8

const (
	regular fileType = 1 << iota
	symlink
	directory
	special
)

func typeOf(mode uint32) fileType {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return regular
	case unix.S_IFLNK:
		return symlink
	case unix.S_IFDIR:
		return directory
	}
	return special
}

func typeOfKind(k snapshot.Kind) fileType {
	switch k {
	case snapshot.Dir:
		return directory
	case snapshot.Symlink:
		return symlink
	}
	return regular
}

// find returns the entry of that name, or nil.
func (d *dir) find(name string) *entry {
	if d == nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(d.entries, name, func(e entry, n string) int { return cmp.Compare(e.Name, n) })
	if !ok {
		return nil
	}
	return &d.entries[i]
}

// forget drops all stamps, so that every file is read again.
func (d *dir) forget() {
	for i := range d.entries {
		d.entries[i].stamp = stamp{}
		if sub := d.entries[i].dir; sub != nil {
			sub.forget()
		}
	}
}

const indexHeader = "cycwork\x01"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (x *index) encode() []byte {
	out := append([]byte(nil), indexHeader...)
	out = appendText(out, x.boot)
	out = x.root.append(out)
	return binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, castagnoli))
}

func (d *dir) append(out []byte) []byte {
	out = append(out, d.sum[:]...)
	out = binary.AppendUvarint(out, uint64(len(d.entries)))
	for i := range d.entries {
		out = d.entries[i].append(out)
	}
	return out
}

func (e *entry) append(out []byte) []byte {
	out = append(out, byte(e.Kind))
	out = appendText(out, e.Name)
	out = binary.AppendUvarint(out, uint64(e.Size))
	if e.Kind == snapshot.Dir {
		return e.dir.append(binary.AppendUvarint(out, uint64(e.Files)))
	}
	if e.Kind == snapshot.Symlink {
		out = appendText(out, e.Target)
	} else {
		out = append(out, e.Sum[:]...)
	}
	out = binary.LittleEndian.AppendUint64(out, uint64(e.stamp.mtime))
	out = binary.LittleEndian.AppendUint64(out, uint64(e.stamp.ctime))
	out = binary.LittleEndian.AppendUint64(out, e.stamp.ino)
	return binary.LittleEndian.AppendUint32(out, e.stamp.mode)
}

func appendText(out []byte, s string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(s))), s...)
}

var errIndex = errors.New("unable to read workspace index: it is damaged")

// decodeIndex reads what encode wrote; names share the memory of data.
func decodeIndex(data []byte) (*index, error) {
	body := len(data) - 4
	if body < len(indexHeader) || string(data[:len(indexHeader)]) != indexHeader ||
		crc32.Checksum(data[:body], castagnoli) != binary.LittleEndian.Uint32(data[body:]) {
		return nil, errIndex
	}
	c := cursor{rest: string(data[len(indexHeader):body])}
	x := &index{boot: c.text()}
	x.root = c.dir(0)
	if c.bad || c.rest != "" {
		return nil, errIndex
	}
	return x, nil
}

// cursor takes fields off the front of rest; once bad, all fields are zero.
type cursor struct {
	rest string
	bad  bool
}

func (c *cursor) take(n uint64) string {
	if c.bad || n > uint64(len(c.rest)) {
		c.bad = true
		return ""
	}
	s := c.rest[:n]
	c.rest = c.rest[n:]
	return s
}

func (c *cursor) fixed(n int) uint64 {
	var b [8]byte
	copy(b[:], c.take(uint64(n)))
	return binary.LittleEndian.Uint64(b[:])
}

func (c *cursor) uvarint() uint64 {
	var b [binary.MaxVarintLen64]byte
	copy(b[:], c.rest)
	v, n := binary.Uvarint(b[:])
	if n <= 0 || n > len(c.rest) {
		c.bad = true
	}
	if c.bad {
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

func (c *cursor) text() string { return c.take(c.uvarint()) }

func (c *cursor) sum() (s manifest.Sum) {
	copy(s[:], c.take(manifest.DigestSize))
	return s
}

// minIndexed is the size in bytes of the smallest entry, which bounds how many there can be.
const minIndexed = 30

func (c *cursor) dir(depth int) *dir {
	d := &dir{sum: c.sum()}
	n := c.uvarint()
	if depth > snapshot.MaxDepth || n > uint64(len(c.rest)/minIndexed) {
		c.bad = true
		return d
	}
	d.entries = make([]entry, n)
	for i := range d.entries {
		c.entry(&d.entries[i], depth)
		if c.bad || i > 0 && d.entries[i-1].Name >= d.entries[i].Name {
			c.bad = true
			break
		}
	}
	return d
}

func (c *cursor) entry(e *entry, depth int) {
	if kind := c.take(1); !c.bad {
		e.Kind = snapshot.Kind(kind[0])
	}
	e.Name = c.text()
	e.Size = int64(c.uvarint())
	e.types = typeOfKind(e.Kind)
	switch e.Kind {
	case snapshot.Dir:
		e.Files = int64(c.uvarint())
		e.dir = c.dir(depth + 1)
		e.Sum = e.dir.sum
		return
	case snapshot.Symlink:
		e.Target = c.text()
	case snapshot.File, snapshot.Executable:
		e.Sum = c.sum()
	default:
		c.bad = true
	}
	e.stamp = stamp{mtime: int64(c.fixed(8)), ctime: int64(c.fixed(8)), ino: c.fixed(8), mode: uint32(c.fixed(4))}
	c.bad = c.bad || !snapshot.ValidName(e.Name) || e.Size < 0
}

// save replaces the index file. A reader finds the old or the new one.
func (x *index) save(path string) error {
	temp := path + ".new"
	if err := failpoint.Do(failpoint.ApplyIndex, func() error { return os.WriteFile(temp, x.encode(), 0o600) }); err != nil {
		return fmt.Errorf("unable to write workspace index: %w", err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("unable to write workspace index: %w", err)
	}
	return nil
}

// loadIndex returns nil without an error when there is no index that can be used.
func loadIndex(path string) (*index, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("unable to read workspace index: %w", err)
	}
	x, err := decodeIndex(data)
	if err != nil {
		return nil, nil
	}
	return x, nil
}
