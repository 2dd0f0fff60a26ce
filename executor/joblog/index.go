//go:build linux

package joblog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// Layout of log.idx; docs/log.md describes it.
const (
	indexName   = "cyclops log idx"
	indexMagic  = indexName + "\x01" // the name, and the version
	headerSize  = int64(len(indexMagic))
	recordSize  = 32
	recordBlock = 1024 // records that a reader takes in at once
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record describes one run of bytes of the log.
type record struct {
	offset int64 // in the log
	time   int64 // Unix nanoseconds, never earlier than the record before
	length uint32
	sum    uint32 // CRC-32C of the bytes
	stream uint8
}

func (r record) end() int64 { return r.offset + int64(r.length) }

// append adds the record's 32 bytes to b.
func (r record) append(b []byte) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint64(b, uint64(r.offset))
	b = binary.BigEndian.AppendUint64(b, uint64(r.time))
	b = binary.BigEndian.AppendUint32(b, r.length)
	b = binary.BigEndian.AppendUint32(b, r.sum)
	b = append(b, r.stream, 0, 0, 0)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// decodeRecord reads the first 32 bytes of b; false means that they are no record.
func decodeRecord(b []byte) (record, bool) {
	if len(b) < recordSize {
		return record{}, false
	}
	body, sum := b[:recordSize-4], binary.BigEndian.Uint32(b[recordSize-4:])
	r := record{
		offset: int64(binary.BigEndian.Uint64(b)),
		time:   int64(binary.BigEndian.Uint64(b[8:])),
		length: binary.BigEndian.Uint32(b[16:]),
		sum:    binary.BigEndian.Uint32(b[20:]),
		stream: b[24],
	}
	ok := crc32.Checksum(body, castagnoli) == sum && b[25]|b[26]|b[27] == 0
	return r, ok && r.offset >= 0 && r.length > 0 && r.end() > r.offset && r.stream <= api.Stderr
}

// indexed returns how many whole records an index file of size bytes holds.
func indexed(size int64) int64 { return max(0, (size-headerSize)/recordSize) }

// recordAt returns where record i lies in the index file.
func recordAt(i int64) int64 { return headerSize + i*recordSize }

// ErrVersion says that a log's index is of another version than this code's.
type ErrVersion struct{ Have, Want int }

func (e *ErrVersion) Error() string {
	return fmt.Sprintf("the index of the log is of version %d, this executor reads version %d", e.Have, e.Want)
}

// maxVersion is more versions than there will ever be: a larger number is a damaged byte.
const maxVersion = 100

// checkVersion looks at the beginning of an index. One that does not begin as an index is damaged,
// not of another version.
func checkVersion(x *os.File) error {
	head := make([]byte, headerSize)
	n, err := x.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("unable to read log index: %w", err)
	}
	if name, version := string(head[:len(indexName)]), int(head[len(indexName)]); n == len(head) && name == indexName && version > 1 && version < maxVersion {
		return &ErrVersion{Have: version, Want: 1}
	}
	return nil
}
