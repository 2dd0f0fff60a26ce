//go:build linux

package joblog

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/layout"
)

// Recover puts the log of a job whose supervisor is gone in order: index records that promise
// more bytes than the log holds are cut, bytes that no record describes are marked as of an
// unknown stream. It returns what both files then hold; no log at all is an empty one.
func Recover(data layout.Data, id string) (log, index File, err error) {
	l, err := os.OpenFile(data.Log(id), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return File{}, File{}, nil
	}
	if err != nil {
		return File{}, File{}, fmt.Errorf("unable to recover log: %w", err)
	}
	x, err := os.OpenFile(data.LogIndex(id), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return File{}, File{}, errors.Join(fmt.Errorf("unable to recover log: %w", err), l.Close())
	}
	r := &Reader{log: l, idx: x}
	if err = checkVersion(x); err == nil {
		log, index, err = r.mend()
	}
	if err != nil {
		err = fmt.Errorf("unable to recover log: %w", err)
	}
	return log, index, errors.Join(err, r.Close())
}

func (r *Reader) mend() (log, index File, err error) {
	size, err := r.Size()
	if err != nil {
		return log, index, err
	}
	n, last, err := r.lastWithin(size)
	if err != nil {
		return log, index, err
	}
	if err := r.rewrite(n, last, size); err != nil {
		return log, index, err
	}
	if err := errors.Join(r.log.Sync(), r.idx.Sync()); err != nil {
		return log, index, err
	}
	if log, err = digest(r.log); err != nil {
		return log, index, err
	}
	index, err = digest(r.idx)
	return log, index, err
}

// lastWithin returns how many whole, sound records begin within the log and the last of them.
// Only the last record may be torn; anything else is damage that must not be papered over.
func (r *Reader) lastWithin(size int64) (int64, record, error) {
	info, err := r.idx.Stat()
	if err != nil {
		return 0, record{}, err
	}
	for n := indexed(info.Size()); n > 0; n-- {
		recs, err := r.records(n-1, 1)
		if err != nil {
			return 0, record{}, err
		}
		if len(recs) == 1 && recs[0].offset < size {
			return n, recs[0], nil
		}
	}
	return 0, record{}, nil
}

// rewrite makes the index end with the log: the last record is shortened to the bytes that
// arrived, and what lies behind it gets a record of its own.
func (r *Reader) rewrite(n int64, last record, size int64) error {
	var tail []byte
	if n > 0 {
		whole := last.end() <= size
		last.length = clip(min(last.end(), size) - last.offset)
		sum, err := r.sum(last.offset, last.end())
		if err != nil {
			return err
		}
		if whole && sum != last.sum {
			last.stream = api.StreamUnknown
		}
		last.sum = sum
		tail, n = last.append(tail), n-1
	}
	for at := last.end(); at < size; {
		rec := record{offset: at, time: last.time, length: clip(size - at), stream: api.StreamUnknown}
		var err error
		if rec.sum, err = r.sum(at, rec.end()); err != nil {
			return err
		}
		tail, at = rec.append(tail), rec.end()
	}
	if size == 0 {
		return r.idx.Truncate(0)
	}
	if err := r.idx.Truncate(recordAt(n)); err != nil {
		return err
	}
	if _, err := r.idx.WriteAt([]byte(indexMagic), 0); err != nil {
		return err
	}
	_, err := r.idx.WriteAt(tail, recordAt(n))
	return err
}

func (r *Reader) sum(from, to int64) (uint32, error) {
	h := crc32.New(castagnoli)
	_, err := io.Copy(h, io.NewSectionReader(r.log, from, to-from))
	return h.Sum32(), err
}

func digest(f *os.File) (File, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return File{}, err
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	out := File{Size: n}
	h.Sum(out.Sum[:0])
	return out, err
}
