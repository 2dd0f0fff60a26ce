package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// header opens every encoded tree; its last byte is the version of the format.
const header = "cyctree\x01"

// minEntry is the size in bytes of the smallest entry: a symlink of one letter to one letter.
const minEntry = 5

// Encode returns the bytes of t. Equal trees give equal bytes; what Decode would refuse is an error.
func (t Tree) Encode() ([]byte, error) {
	out := make([]byte, 0, len(header)+binary.MaxVarintLen64+len(t)*64)
	out = append(out, header...)
	out = binary.AppendUvarint(out, uint64(len(t)))
	for i := range t {
		if err := t.checkAt(i); err != nil {
			return nil, fmt.Errorf("unable to encode tree: %w", err)
		}
		out = t[i].append(out)
	}
	if err := t.checkTotals(len(out)); err != nil {
		return nil, fmt.Errorf("unable to encode tree: %w", err)
	}
	return out, nil
}

// append adds the encoded form of e to out.
func (e *Entry) append(out []byte) []byte {
	out = append(out, byte(e.Kind))
	out = appendString(out, e.Name)
	if e.Kind == Symlink {
		return appendString(out, e.Target)
	}
	out = binary.AppendUvarint(out, uint64(e.Size))
	if e.Kind == Dir {
		out = binary.AppendUvarint(out, uint64(e.Files))
	}
	return append(out, e.Sum[:]...)
}

func appendString(out []byte, s string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(s))), s...)
}

// checkAt reports what is wrong with the entry at i, its place in the order included.
func (t Tree) checkAt(i int) error {
	if err := t[i].check(); err != nil {
		return err
	}
	if i > 0 && t[i-1].Name >= t[i].Name {
		return fmt.Errorf("name %q does not sort behind %q", t[i].Name, t[i-1].Name)
	}
	return nil
}

// checkTotals keeps sums of sums from wrapping round.
func (t Tree) checkTotals(encoded int) error {
	if encoded > MaxObject {
		return fmt.Errorf("%d bytes are more than the limit of %d", encoded, MaxObject)
	}
	var files, bytes int64
	for i := range t {
		files += t[i].Files + 1
		bytes += t[i].Size
		if files > MaxSize || bytes > MaxSize {
			return errors.New("its totals are out of range")
		}
	}
	return nil
}

// Decode reads an encoded tree. It takes only what Encode would have written, byte for byte.
func Decode(data []byte) (Tree, error) {
	if len(data) < len(header) || string(data[:len(header)-1]) != header[:len(header)-1] {
		return nil, errors.New("unable to decode tree: it does not begin as one")
	}
	if have, want := data[len(header)-1], header[len(header)-1]; have != want {
		return nil, fmt.Errorf("unable to decode tree of version %d: this Cyclops reads version %d", have, want)
	}
	t, err := decodeEntries(data[len(header):])
	if err == nil {
		err = t.checkTotals(len(data))
	}
	if err != nil {
		return nil, fmt.Errorf("unable to decode tree: %w", err)
	}
	return t, nil
}

func decodeEntries(data []byte) (Tree, error) {
	d := decoder{rest: data}
	n := d.uvarint()
	// The count is bounded by what the bytes can hold, so that a few of them cannot ask for much memory.
	if d.err == nil && n > uint64(len(d.rest)/minEntry) {
		return nil, fmt.Errorf("%d entries do not fit into %d bytes", n, len(d.rest))
	}
	t := make(Tree, 0, n)
	for range n {
		t = append(t, d.entry())
		if d.err != nil {
			return nil, d.err
		}
		if err := t.checkAt(len(t) - 1); err != nil {
			return nil, err
		}
	}
	if len(d.rest) > 0 && d.err == nil {
		d.err = fmt.Errorf("%d bytes follow the last entry", len(d.rest))
	}
	return t, d.err
}

// decoder takes fields off the front of rest; after the first error all fields are zero.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) entry() Entry {
	e := Entry{Kind: Kind(d.take(1)[0])}
	e.Name = d.string(MaxName)
	if e.Kind == Symlink {
		e.Target = d.string(MaxTarget)
		return e
	}
	e.Size = d.size()
	if e.Kind == Dir {
		e.Files = d.size()
	}
	e.Sum = manifest.Sum(d.take(manifest.DigestSize))
	return e
}

// take returns the next n bytes, or n zeros when there are not so many.
func (d *decoder) take(n int) []byte {
	if d.err == nil && n > len(d.rest) {
		d.err = errors.New("it ends too early")
	}
	if d.err != nil {
		return make([]byte, n)
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if d.err == nil && (n <= 0 || n > 1 && d.rest[n-1] == 0) {
		d.err = errors.New("a number is cut off or not written the shortest way")
	}
	if d.err != nil {
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) size() int64 {
	v := d.uvarint()
	if d.err == nil && v > MaxSize {
		d.err = fmt.Errorf("size %d is out of range", v)
	}
	if d.err != nil {
		return 0
	}
	return int64(v)
}

func (d *decoder) string(limit int) string {
	n := d.uvarint()
	if d.err == nil && n > uint64(limit) {
		d.err = fmt.Errorf("%d bytes of text are more than the limit of %d", n, limit)
	}
	if d.err != nil {
		return ""
	}
	return string(d.take(int(n)))
}
