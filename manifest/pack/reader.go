package pack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"sort"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// Reader finds and reads the objects of one pack. It is safe for concurrent use.
type Reader struct {
	file   io.ReaderAt
	size   int64
	index  []byte // the index frame as it is in the file
	footer []byte
	frames []frame
	table  []byte // the objects, sorted, within index
	raw    int64
	cache  *Cache
}

// Open reads the index of a pack of size bytes, with a cache of its own. It checks that
// everything lies within bounds, but no content: Verify does.
func Open(file io.ReaderAt, size int64) (*Reader, error) {
	return NewCache(defaultCache).Open(file, size)
}

// Open is Open with this cache.
func (c *Cache) Open(file io.ReaderAt, size int64) (*Reader, error) {
	r := &Reader{file: file, size: size, cache: c}
	at, err := r.readFooter()
	if err != nil {
		return nil, err
	}
	if err := r.readIndex(at); err != nil {
		return nil, err
	}
	return r, r.checkObjects()
}

// readFooter returns the offset of the index.
func (r *Reader) readFooter() (int64, error) {
	if r.size < footerSize+skipHeader+8 {
		return 0, formatErrorf("%d bytes are too few", r.size)
	}
	r.footer = make([]byte, footerSize)
	if err := readAt(r.file, r.footer, r.size-footerSize); err != nil {
		return 0, err
	}
	f := r.footer[skipHeader:]
	if le32(r.footer) != footerMagic || le32(r.footer[4:]) != footerSize-skipHeader || string(f[:8]) != magic {
		return 0, formatErrorf("it does not end as one")
	}
	if v := le32(f[8:]); v != Version {
		return 0, r.otherVersion(v)
	}
	at := binary.LittleEndian.Uint64(f[16:])
	if le32(f[12:]) != 0 || at > uint64(r.size-footerSize-skipHeader-8) {
		return 0, formatErrorf("its index would begin at %d of %d bytes", at, r.size)
	}
	return int64(at), nil
}

// otherVersion tells a pack of another version from one whose version is damaged: a pack of any
// version ends with the digest of all before it.
func (r *Reader) otherVersion(v uint32) error {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(r.file, 0, r.size-digestLen)); err != nil {
		return err
	}
	if !bytes.Equal(h.Sum(nil), r.footer[footerSize-digestLen:]) {
		return formatErrorf("its version, %d, is not what was written", v)
	}
	return &VersionError{Have: v}
}

// readIndex reads the frame table and slices the object table.
func (r *Reader) readIndex(at int64) error {
	length := r.size - footerSize - at
	if length > skipHeader+8+MaxObjects*(objectSize+frameEntry) {
		return formatErrorf("its index has %d bytes", length)
	}
	r.index = make([]byte, length)
	if err := readAt(r.file, r.index, at); err != nil {
		return err
	}
	body := r.index[skipHeader:]
	frames, objects := int64(le32(body)), int64(le32(body[4:]))
	if le32(r.index) != indexMagic || int64(le32(r.index[4:])) != int64(len(body)) ||
		objects > MaxObjects || 8+frames*frameEntry+objects*objectSize != int64(len(body)) {
		return formatErrorf("its index of %d bytes is damaged", length)
	}
	r.table = body[8+frames*frameEntry:]
	return r.readFrames(body[8:8+frames*frameEntry], at)
}

func (r *Reader) readFrames(table []byte, end int64) error {
	r.frames = make([]frame, 0, len(table)/frameEntry)
	at := int64(0)
	for ; len(table) > 0; table = table[frameEntry:] {
		f := frame{at: at, packed: int64(le32(table)), raw: r.raw, size: int64(le32(table[4:]))}
		if f.size == 0 || f.size > MaxFrame || f.packed == 0 || f.packed > maxPacked(f.size) {
			return formatErrorf("frame %d would turn %d bytes into %d", len(r.frames), f.packed, f.size)
		}
		r.frames = append(r.frames, f)
		at += f.packed
		r.raw += f.size
	}
	if at != end || r.raw > MaxRaw {
		return formatErrorf("its frames end at %d, not at %d", at, end)
	}
	return nil
}

// checkObjects makes sure that Find can search and that every object lies within the frames.
func (r *Reader) checkObjects() error {
	for i := range r.Len() {
		o := r.at(i)
		if o.Kind != Blob && o.Kind != Tree || o.Size < 0 || o.Offset > r.raw || o.Size > r.raw-o.Offset {
			return formatErrorf("object %.12s has kind %d and %d bytes at %d of %d", o.Sum, o.Kind, o.Size, o.Offset, r.raw)
		}
		if i > 0 && bytes.Compare(r.key(i-1), r.key(i)) >= 0 {
			return formatErrorf("object %.12s is out of order", o.Sum)
		}
	}
	return nil
}

func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

func readAt(file io.ReaderAt, b []byte, at int64) error {
	if n, err := file.ReadAt(b, at); n < len(b) {
		return fmt.Errorf("unable to read pack: %w", err)
	}
	return nil
}

// Len returns how many objects there are.
func (r *Reader) Len() int { return len(r.table) / objectSize }

// Size returns the bytes of the whole file.
func (r *Reader) Size() int64 { return r.size }

// Raw returns the bytes of all frames when decoded.
func (r *Reader) Raw() int64 { return r.raw }

func (r *Reader) key(i int) []byte { return r.table[i*objectSize:][:digestLen] }

func (r *Reader) at(i int) Object { return decodeObject(r.table[i*objectSize:]) }

// Objects yields every object in the order of digests.
func (r *Reader) Objects() iter.Seq[Object] {
	return func(yield func(Object) bool) {
		for i := range r.Len() {
			if !yield(r.at(i)) {
				return
			}
		}
	}
}

// Find returns the object of that digest.
func (r *Reader) Find(sum manifest.Sum) (Object, bool) {
	n := r.Len()
	i := sort.Search(n, func(i int) bool { return bytes.Compare(r.key(i), sum[:]) >= 0 })
	if i == n || !bytes.Equal(r.key(i), sum[:]) {
		return Object{}, false
	}
	return r.at(i), true
}

// Reader returns the bytes of o as a stream. Reading objects in the order of their offsets
// decodes every frame once.
func (r *Reader) Reader(o Object) io.Reader {
	return &objectReader{pack: r, at: o.Offset, left: o.Size}
}

// ReadAll returns the bytes of o, or an error when they are more than limit.
func (r *Reader) ReadAll(o Object, limit int64) ([]byte, error) {
	if o.Size > limit {
		return nil, formatErrorf("object %.12s has %d bytes, more than the limit of %d", o.Sum, o.Size, limit)
	}
	data := make([]byte, o.Size)
	if _, err := io.ReadFull(r.Reader(o), data); err != nil {
		return nil, err
	}
	return data, nil
}

// objectReader copies from decoded frames.
type objectReader struct {
	pack     *Reader
	at, left int64
	frame    []byte // decoded bytes from at on
}

func (o *objectReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := o.fill(); err != nil {
		return 0, err
	}
	n := copy(p, o.frame)
	o.advance(n)
	return n, nil
}

// WriteTo spares io.Copy its buffer.
func (o *objectReader) WriteTo(w io.Writer) (int64, error) {
	total := int64(0)
	for {
		if err := o.fill(); err != nil {
			if err == io.EOF {
				err = nil
			}
			return total, err
		}
		n, err := w.Write(o.frame)
		total += int64(n)
		o.advance(n)
		if err != nil {
			return total, err
		}
	}
}

func (o *objectReader) advance(n int) {
	o.frame = o.frame[n:]
	o.at += int64(n)
	o.left -= int64(n)
}

// fill makes sure that there are bytes in frame.
func (o *objectReader) fill() error {
	if o.left == 0 {
		return io.EOF
	}
	if len(o.frame) > 0 {
		return nil
	}
	i := o.pack.frameAt(o.at)
	data, err := o.pack.cache.frame(o.pack, i)
	if err != nil {
		return err
	}
	data = data[o.at-o.pack.frames[i].raw:]
	o.frame = data[:min(int64(len(data)), o.left)]
	return nil
}

// frameAt returns the frame that holds the raw byte at off, which Open has found to be in one.
func (r *Reader) frameAt(off int64) int {
	return sort.Search(len(r.frames), func(i int) bool { return r.frames[i].raw+r.frames[i].size > off })
}

// Tree decodes a tree object, which makes a Reader a snapshot.Loader.
func (r *Reader) Tree(_ context.Context, sum manifest.Sum) (snapshot.Tree, error) {
	o, ok := r.Find(sum)
	if !ok || o.Kind != Tree {
		return nil, &snapshot.MissingError{Sum: sum}
	}
	data, err := r.ReadAll(o, snapshot.MaxObject)
	if err != nil {
		return nil, err
	}
	return snapshot.Decode(data)
}
