// Package pack holds the content of snapshots in files that are sent as they are stored.
//
// A pack is a valid zstd stream: frames with the objects' bytes one after another, a skippable
// frame with the index, and a skippable frame of fixed size with the footer. docs/pack.md is the whole story.
package pack

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// Limits of a pack. A file that breaks one is refused before memory is asked for.
const (
	FrameSize  = 1 << 20 // raw bytes that a Writer puts into one frame
	MaxFrame   = 4 << 20 // raw bytes of a frame that a Reader takes
	MaxObjects = 1 << 24 // objects of one pack
	MaxRaw     = 1 << 55 // raw bytes of all frames
)

// Version of the format that this code writes and reads.
const Version = 1

// Kind says what an object is. The numbers are part of the format.
type Kind uint8

// The kinds of objects.
const (
	Blob Kind = 1 // the bytes of a file
	Tree Kind = 2 // an encoded snapshot.Tree
)

// Object says where an object is in the raw bytes of a pack.
type Object struct {
	Sum    manifest.Sum
	Kind   Kind
	Offset int64 // in the frames' raw bytes
	Size   int64 // in bytes
}

// FormatError says that a file is no pack, or a broken one.
type FormatError struct{ Reason string }

func (e *FormatError) Error() string { return "unable to read pack: " + e.Reason }

func formatErrorf(format string, args ...any) error {
	return &FormatError{Reason: fmt.Sprintf(format, args...)}
}

// VersionError says that a pack is of a version that this code cannot read.
type VersionError struct{ Have uint32 }

func (e *VersionError) Error() string {
	return fmt.Sprintf("unable to read pack of version %d: this Cyclops reads version %d", e.Have, Version)
}

// IsFormat tells whether err says that a file's bytes are wrong, not that they could not be read or
// are of a later version.
func IsFormat(err error) bool {
	var f *FormatError
	var m *MismatchError
	return errors.As(err, &f) || errors.As(err, &m)
}

// The two skippable frames at the end.
const (
	indexMagic  = 0x184D2A5C
	footerMagic = 0x184D2A5D
	magic       = "cycpack\x00"

	skipHeader = 8                                      // magic and length of a skippable frame
	frameEntry = 8                                      // compressed and raw length
	footerSize = skipHeader + 8 + 4 + 4 + 8 + digestLen // see appendFooter
	objectSize = digestLen + 8 + 8                      // see appendObject
	digestLen  = manifest.DigestSize
	kindShift  = 56 // of the word that holds kind and offset
)

// frame is one entry of the frame table.
type frame struct {
	at, packed int64 // in the file
	raw, size  int64 // in the raw bytes
}

// maxPacked bounds the compressed length of a frame: what does not compress is stored with
// a few bytes more, and a frame that is longer than that only wastes memory.
func maxPacked(raw int64) int64 { return raw + raw>>7 + 1024 }

func appendObject(out []byte, o Object) []byte {
	out = append(out, o.Sum[:]...)
	out = binary.LittleEndian.AppendUint64(out, uint64(o.Kind)<<kindShift|uint64(o.Offset))
	return binary.LittleEndian.AppendUint64(out, uint64(o.Size))
}

func decodeObject(b []byte) Object {
	at := binary.LittleEndian.Uint64(b[digestLen:])
	return Object{
		Sum:    manifest.Sum(b[:digestLen]),
		Kind:   Kind(at >> kindShift),
		Offset: int64(at & (1<<kindShift - 1)),
		Size:   int64(binary.LittleEndian.Uint64(b[digestLen+8:])),
	}
}

// appendIndex writes the index frame; objects must be sorted by digest.
func appendIndex(out []byte, frames []frame, objects []Object) []byte {
	out = binary.LittleEndian.AppendUint32(out, indexMagic)
	out = binary.LittleEndian.AppendUint32(out, uint32(8+len(frames)*frameEntry+len(objects)*objectSize))
	out = binary.LittleEndian.AppendUint32(out, uint32(len(frames)))
	out = binary.LittleEndian.AppendUint32(out, uint32(len(objects)))
	for _, f := range frames {
		out = binary.LittleEndian.AppendUint32(out, uint32(f.packed))
		out = binary.LittleEndian.AppendUint32(out, uint32(f.size))
	}
	for _, o := range objects {
		out = appendObject(out, o)
	}
	return out
}

// appendFooter writes the footer up to the digest, which covers all bytes of the file before it.
func appendFooter(out []byte, index int64) []byte {
	out = binary.LittleEndian.AppendUint32(out, footerMagic)
	out = binary.LittleEndian.AppendUint32(out, footerSize-skipHeader)
	out = append(out, magic...)
	out = binary.LittleEndian.AppendUint32(out, Version)
	out = binary.LittleEndian.AppendUint32(out, 0)
	return binary.LittleEndian.AppendUint64(out, uint64(index))
}
