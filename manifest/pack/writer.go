package pack

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// MismatchError says that the bytes of an object are not those that its digest and size promise.
type MismatchError struct {
	Want, Got         manifest.Sum
	WantSize, GotSize int64 // bytes
}

func (e *MismatchError) Error() string {
	if e.WantSize != e.GotSize {
		return fmt.Sprintf("unable to take object %.12s: %d bytes instead of %d", e.Want, e.GotSize, e.WantSize)
	}
	return fmt.Sprintf("unable to take object %.12s: its bytes have digest %.12s", e.Want, e.Got)
}

// Writer writes one pack. It compresses in goroutines of its own but writes only during
// calls of its methods. It is not safe for concurrent use.
type Writer struct {
	out     output
	zip     compressor
	hash    hash.Hash    // of the object being added
	got     manifest.Sum // its result; a field, so that it is not allocated for each object
	objects []Object     // in the order of Add
	known   map[manifest.Sum]struct{}
	buf     []byte // raw bytes of the open frame
	raw     int64  // raw bytes of the frames before it
	// Trees are kept apart until they fill a frame: who walks a snapshot then reads few frames.
	trees   []byte
	treeObj []Object // offsets are in trees
	err     error    // of writing; nothing works after it
}

// output is the file as far as it is written.
type output struct {
	w      io.Writer
	sum    hash.Hash
	size   int64
	frames []frame
	raw    int64
}

func (o *output) write(b []byte) error {
	o.sum.Write(b)
	n, err := o.w.Write(b)
	o.size += int64(n)
	if err != nil {
		return fmt.Errorf("unable to write pack: %w", err)
	}
	return nil
}

// frame writes one compressed frame of size raw bytes.
func (o *output) frame(packed []byte, size int64) error {
	o.frames = append(o.frames, frame{at: o.size, packed: int64(len(packed)), raw: o.raw, size: size})
	o.raw += size
	return o.write(packed)
}

// NewWriter begins a pack on w. It must be closed.
func NewWriter(w io.Writer) *Writer {
	return &Writer{
		out:   output{w: w, sum: sha256.New()},
		hash:  sha256.New(),
		known: map[manifest.Sum]struct{}{},
	}
}

// Has tells whether the pack holds the object already.
func (w *Writer) Has(sum manifest.Sum) bool {
	_, ok := w.known[sum]
	return ok
}

// Add appends an object, reading size bytes from r, unless the pack has it already. A *MismatchError says that they are
// not those of sum, as when a file changes meanwhile. After that, or an error of r, the pack
// lacks this object and takes others; after an error of writing every call fails.
func (w *Writer) Add(kind Kind, sum manifest.Sum, size int64, r io.Reader) error {
	if w.err != nil || w.Has(sum) {
		return w.err
	}
	if size < 0 || size > MaxRaw-w.raw-int64(len(w.buf))-int64(len(w.trees)) || len(w.known) >= MaxObjects {
		return fmt.Errorf("unable to add object of %d bytes: the pack would be too large", size)
	}
	if kind == Tree && size <= FrameSize {
		return w.addTree(sum, size, r)
	}
	return w.addBlob(Object{Sum: sum, Kind: kind, Offset: w.raw + int64(len(w.buf)), Size: size}, r)
}

// addTree appends to the trees, which are flushed only between blobs: an object lies in one piece.
func (w *Writer) addTree(sum manifest.Sum, size int64, r io.Reader) error {
	if len(w.trees)+int(size) > FrameSize {
		if err := w.flushTrees(); err != nil {
			return err
		}
	}
	start := len(w.trees)
	data, err := readInto(w.trees, int(size), r)
	w.trees = data[:start]
	if err == nil {
		err = matches(sum, size, manifest.SumOf(data[start:]), int64(len(data)-start))
	}
	if err != nil {
		return err
	}
	w.trees = data
	w.known[sum] = struct{}{}
	w.treeObj = append(w.treeObj, Object{Sum: sum, Kind: Tree, Offset: int64(start), Size: size})
	return nil
}

// addBlob appends to the open frame and hands on each that is full.
func (w *Writer) addBlob(o Object, r io.Reader) error {
	w.hash.Reset()
	start, got := len(w.buf), int64(0)
	for got < o.Size {
		from := len(w.buf)
		n := int(min(int64(FrameSize-from), o.Size-got))
		data, err := readInto(w.buf, n, r)
		if err != nil {
			w.drop(o, start)
			return err
		}
		w.buf = data
		w.hash.Write(data[from:])
		got += int64(len(data) - from)
		if len(data)-from < n {
			break
		}
		if len(w.buf) == FrameSize {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	w.hash.Sum(w.got[:0])
	if err := matches(o.Sum, o.Size, w.got, got); err != nil {
		w.drop(o, start)
		return err
	}
	w.known[o.Sum] = struct{}{}
	w.objects = append(w.objects, o)
	return nil
}

// drop takes back the bytes of an object that failed. What is in frames that are gone stays
// there, belonging to no object.
func (w *Writer) drop(o Object, start int) {
	if o.Offset >= w.raw {
		w.buf = w.buf[:start]
	} else {
		w.buf = w.buf[:0]
	}
}

// readInto appends n bytes of r to buf, fewer when r ends.
func readInto(buf []byte, n int, r io.Reader) ([]byte, error) {
	from := len(buf)
	buf = slices.Grow(buf, n)[:from+n]
	got, err := io.ReadFull(r, buf[from:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return buf[:from], fmt.Errorf("unable to read object: %w", err)
	}
	return buf[:from+got], nil
}

func matches(want manifest.Sum, wantSize int64, got manifest.Sum, gotSize int64) error {
	if want == got && wantSize == gotSize {
		return nil
	}
	return &MismatchError{Want: want, Got: got, WantSize: wantSize, GotSize: gotSize}
}

// flush hands the open frame to the compressor.
func (w *Writer) flush() error {
	if w.err != nil || len(w.buf) == 0 {
		return w.err
	}
	w.raw += int64(len(w.buf))
	w.buf, w.err = w.zip.add(&w.out, w.buf)
	return w.err
}

// flushTrees writes the trees as a frame of their own, behind the open one.
func (w *Writer) flushTrees() error {
	if err := w.flush(); err != nil {
		return err
	}
	for _, o := range w.treeObj {
		o.Offset += w.raw
		w.objects = append(w.objects, o)
	}
	w.treeObj = w.treeObj[:0]
	if len(w.trees) == 0 {
		return nil
	}
	w.raw += int64(len(w.trees))
	w.trees, w.err = w.zip.add(&w.out, w.trees)
	return w.err
}

// Close writes what is left, the index and the footer, and returns the digest and the size of
// the whole file. It does not close the underlying writer.
func (w *Writer) Close() (manifest.Sum, int64, error) {
	defer w.zip.wait()
	if w.err == nil {
		w.err = w.zip.start(int(min(w.raw, FrameSize)) + len(w.buf) + len(w.trees))
	}
	if err := w.flushTrees(); err != nil {
		return manifest.Sum{}, 0, err
	}
	if w.err = w.finish(); w.err != nil {
		return manifest.Sum{}, 0, w.err
	}
	w.err = errors.New("unable to add to pack: it is closed")
	return manifest.Sum(w.out.sum.Sum(nil)), w.out.size, nil
}

// finish writes the frames that are under way and what comes behind them.
func (w *Writer) finish() error {
	if err := w.zip.drain(&w.out); err != nil {
		return err
	}
	slices.SortFunc(w.objects, func(a, b Object) int { return bytes.Compare(a.Sum[:], b.Sum[:]) })
	end := appendFooter(appendIndex(nil, w.out.frames, w.objects), w.out.size)
	if err := w.out.write(end); err != nil {
		return err
	}
	return w.out.write(w.out.sum.Sum(nil))
}
