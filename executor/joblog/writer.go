//go:build linux

// Package joblog writes and reads a job's log: the bytes as the tool wrote them, and beside
// them an index that says which stream they came on and when.
package joblog

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"os"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// maxAppend is the most bytes that one record describes.
const maxAppend = 1 << 30

// Writer writes one job's log. It belongs to one goroutine.
type Writer struct {
	log, idx         *os.File
	size, idxSize    int64
	last             int64 // time of the last record
	logHash, idxHash hash.Hash
	buf              []byte
	torn             bool // a write that failed may have left bytes behind the end
}

// File says what one of the two files of a log holds.
type File struct {
	Size int64 // bytes
	Sum  manifest.Sum
}

// Create makes the log of a job, which must not have one yet.
func Create(data layout.Data, id string) (*Writer, error) {
	log, err := create(data.Log(id))
	if err != nil {
		return nil, err
	}
	idx, err := create(data.LogIndex(id))
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return &Writer{log: log, idx: idx, logHash: sha256.New(), idxHash: sha256.New()}, nil
}

func create(path string) (*os.File, error) {
	if err := failpoint.At(failpoint.LogCreate); err != nil {
		return nil, fmt.Errorf("unable to create log: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("unable to create log: %w", err)
	}
	return f, nil
}

// Append adds data, which arrived now on stream. When it fails the log is as it was before, so
// that a full disk costs these bytes and no others.
func (w *Writer) Append(stream uint8, data []byte) error {
	for len(data) > maxAppend {
		if err := w.append(stream, data[:maxAppend]); err != nil {
			return err
		}
		data = data[maxAppend:]
	}
	if len(data) == 0 {
		return nil
	}
	return w.append(stream, data)
}

func (w *Writer) append(stream uint8, data []byte) error {
	if err := w.cut(); err != nil {
		return fmt.Errorf("unable to write log: %w", err)
	}
	w.last = max(w.last, time.Now().UnixNano())
	r := record{offset: w.size, time: w.last, length: uint32(len(data)), sum: crc32.Checksum(data, castagnoli), stream: stream}
	w.buf = w.buf[:0]
	if w.idxSize == 0 {
		// Not before: Sync spares a log without bytes, so that its index may hold none either.
		w.buf = append(w.buf, indexMagic...)
	}
	w.buf = r.append(w.buf)
	if err := failpoint.Do(failpoint.LogIndex, func() error { return writeAt(w.idx, w.buf, w.idxSize) }); err != nil {
		return w.undo(err)
	}
	if err := failpoint.Do(failpoint.LogWrite, func() error { return writeAt(w.log, data, w.size) }); err != nil {
		return w.undo(err)
	}
	w.logHash.Write(data)
	w.idxHash.Write(w.buf)
	w.size += int64(len(data))
	w.idxSize += int64(len(w.buf))
	return nil
}

func writeAt(f *os.File, data []byte, at int64) error {
	_, err := f.WriteAt(data, at)
	return err
}

func (w *Writer) undo(cause error) error {
	w.torn = true
	return fmt.Errorf("unable to write log: %w", errors.Join(cause, w.cut()))
}

// cut takes away what a failed write left. A disk that does not take even that may do so later: bytes
// behind the end that stayed would belong to no digest.
func (w *Writer) cut() error {
	if !w.torn {
		return nil
	}
	err := errors.Join(w.log.Truncate(w.size), w.idx.Truncate(w.idxSize))
	w.torn = err != nil
	return err
}

// Size returns how many bytes the log holds, all of them readable.
func (w *Writer) Size() int64 { return w.size }

// Files returns what the log and its index hold.
func (w *Writer) Files() (log, index File) {
	log, index = File{Size: w.size}, File{Size: w.idxSize}
	w.logHash.Sum(log.Sum[:0])
	w.idxHash.Sum(index.Sum[:0])
	return log, index
}

// Sync makes what was appended durable, and nothing else. A log that got no bytes costs nothing.
func (w *Writer) Sync() error {
	if err := w.cut(); err != nil {
		return fmt.Errorf("unable to sync log: %w", err)
	}
	if w.size == 0 {
		return nil
	}
	if err := errors.Join(failpoint.Do(failpoint.LogSync, w.log.Sync), w.idx.Sync()); err != nil {
		return fmt.Errorf("unable to sync log: %w", err)
	}
	return nil
}

// Close closes both files.
func (w *Writer) Close() error { return errors.Join(w.log.Close(), w.idx.Close()) }
