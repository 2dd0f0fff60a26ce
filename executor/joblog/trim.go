//go:build linux

package joblog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/cyclops-fpga/cyclops/executor/layout"
)

// Trim cuts a log that was being written when the machine went down where its index ceases to vouch
// for it, and returns how many bytes that costs: after a loss of power a file can have its length and
// zeros for its bytes. Recover comes after it.
func Trim(data layout.Data, id string) (cut int64, err error) {
	log, err := os.OpenFile(data.Log(id), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("unable to trim log: %w", err)
	}
	idx, err := os.OpenFile(data.LogIndex(id), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return 0, errors.Join(fmt.Errorf("unable to trim log: %w", err), log.Close())
	}
	r := &Reader{log: log, idx: idx}
	if err = checkVersion(idx); err == nil {
		cut, err = r.trim()
	}
	if err != nil {
		err = fmt.Errorf("unable to trim log: %w", err)
	}
	return cut, errors.Join(err, r.Close())
}

func (r *Reader) trim() (int64, error) {
	size, err := r.Size()
	if err != nil {
		return 0, err
	}
	n, end, err := r.vouched(size)
	if err != nil {
		return 0, err
	}
	return size - end, errors.Join(r.log.Truncate(end), r.idx.Truncate(recordAt(n)))
}

// vouched returns how many records from the first on describe what the log holds, and where the
// last of them ends.
func (r *Reader) vouched(size int64) (n, end int64, err error) {
	raw := make([]byte, recordBlock*recordSize)
	for {
		got, err := r.idx.ReadAt(raw, recordAt(n))
		if err != nil && err != io.EOF {
			return n, end, err
		}
		for b := raw[:got]; len(b) >= recordSize; b = b[recordSize:] {
			rec, ok := decodeRecord(b)
			if !ok || rec.offset != end || rec.end() > size {
				return n, end, nil
			}
			if sum, err := r.sum(rec.offset, rec.end()); err != nil || sum != rec.sum {
				return n, end, err
			}
			n, end = n+1, rec.end()
		}
		if got < len(raw) {
			return n, end, nil
		}
	}
}
