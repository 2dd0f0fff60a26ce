//go:build linux

package joblog

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// maxWrong bounds how many pieces of damage one log is said to have.
const maxWrong = 20

// Check compares every record of an ended job's index with the bytes that it describes, and says
// for people what is wrong with either. An index of a later version is an *ErrVersion.
func Check(ctx context.Context, data layout.Data, id string) (wrong []string, err error) {
	err = walk(ctx, data, id, func(text string) {
		if len(wrong) < maxWrong {
			wrong = append(wrong, text)
		}
	}, nil)
	return wrong, err
}

// Remake writes the index of a damaged log anew: bytes that are not those it told of, or that it
// tells nothing of, are of an unknown stream from then on. It returns what both files then hold. An index
// of a later version stays as it is: *ErrVersion.
func Remake(ctx context.Context, data layout.Data, id string) (log, index File, err error) {
	path := data.LogIndex(id) + ".new"
	x, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return log, index, fmt.Errorf("unable to write log index: %w", err)
	}
	defer x.Close()
	if err := failpoint.Do(failpoint.CheckIndex, func() error { return remake(ctx, data, id, x) }); err != nil {
		return log, index, errors.Join(err, os.Remove(path))
	}
	if err := os.Rename(path, data.LogIndex(id)); err != nil {
		return log, index, fmt.Errorf("unable to write log index: %w", err)
	}
	return digests(data, id, x)
}

// remake writes into x what the index should say.
func remake(ctx context.Context, data layout.Data, id string, x *os.File) error {
	w := bufio.NewWriter(x)
	if _, err := w.WriteString(indexMagic); err != nil {
		return fmt.Errorf("unable to write log index: %w", err)
	}
	var buf []byte
	if err := walk(ctx, data, id, func(string) {}, func(rec record) error {
		buf = rec.append(buf[:0])
		_, err := w.Write(buf)
		return err
	}); err != nil {
		return err
	}
	if err := errors.Join(w.Flush(), x.Sync()); err != nil {
		return fmt.Errorf("unable to write log index: %w", err)
	}
	return nil
}

func digests(data layout.Data, id string, x *os.File) (log, index File, err error) {
	l, err := os.Open(data.Log(id))
	if err != nil {
		return log, index, fmt.Errorf("unable to read log: %w", err)
	}
	defer l.Close()
	if log, err = digest(l); err == nil {
		index, err = digest(x)
	}
	return log, index, err
}

// walker goes through an index beside its log.
type walker struct {
	log   *os.File
	size  int64
	at    int64 // up to where the log is described
	time  int64
	buf   []byte
	wrong func(string)
	keep  func(record) error // gets what an index of this log should say, one after another; nil: nobody asks
}

func walk(ctx context.Context, data layout.Data, id string, wrong func(string), keep func(record) error) error {
	l, err := os.Open(data.Log(id))
	if err != nil {
		return fmt.Errorf("unable to read log: %w", err)
	}
	defer l.Close()
	info, err := l.Stat()
	if err != nil {
		return fmt.Errorf("unable to read log: %w", err)
	}
	w := &walker{log: l, size: info.Size(), buf: make([]byte, 64<<10), wrong: wrong, keep: keep}
	x, err := os.Open(data.LogIndex(id))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("unable to read log index: %w", err)
	}
	if err == nil {
		defer x.Close()
		if err = checkVersion(x); err == nil {
			err = w.index(ctx, bufio.NewReaderSize(x, 64<<10))
		}
	} else {
		wrong("log.idx is gone")
		err = nil
	}
	if err == nil {
		err = w.gap(w.size)
	}
	return err
}

func (w *walker) index(ctx context.Context, r io.Reader) error {
	head := make([]byte, headerSize)
	n, err := io.ReadFull(r, head)
	if err != nil && n == 0 && w.size == 0 {
		return nil // a log without bytes needs no index
	}
	if string(head) != indexMagic {
		w.wrong("log.idx does not begin as an index")
	}
	raw := make([]byte, recordSize)
	for i := 0; ; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(r, raw)
		if n == 0 {
			return nil
		}
		if rec, ok := decodeRecord(raw[:n]); ok {
			if err := w.record(i, rec); err != nil {
				return err
			}
		} else {
			w.wrong(fmt.Sprintf("record %d of log.idx is damaged", i))
		}
		if err != nil {
			return nil
		}
	}
}

// record compares one record with its bytes.
func (w *walker) record(i int, rec record) error {
	if rec.offset < w.at || rec.offset >= w.size {
		w.wrong(fmt.Sprintf("record %d of log.idx tells of byte %d, where the log has none of its own", i, rec.offset))
		return nil
	}
	if err := w.gap(rec.offset); err != nil {
		return err
	}
	if rec.end() > w.size {
		w.wrong(fmt.Sprintf("the log ends at byte %d, in the middle of what record %d of log.idx tells of", w.size, i))
		rec.length, rec.stream = uint32(w.size-rec.offset), api.StreamUnknown
		var err error
		if rec.sum, err = w.sum(rec); err != nil {
			return err
		}
	}
	sum, err := w.sum(rec)
	if err != nil {
		return err
	}
	if sum != rec.sum {
		w.wrong(fmt.Sprintf("bytes %d to %d of the log are not what was written", rec.offset, rec.end()))
		rec.stream = api.StreamUnknown
	}
	rec.sum = sum
	return w.add(rec)
}

// gap tells of bytes up to end that no record describes.
func (w *walker) gap(end int64) error {
	for w.at < end {
		w.wrong(fmt.Sprintf("bytes %d to %d of the log are not in log.idx", w.at, end))
		rec := record{offset: w.at, time: w.time, length: clip(end - w.at), stream: api.StreamUnknown}
		var err error
		if rec.sum, err = w.sum(rec); err != nil {
			return err
		}
		if err := w.add(rec); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) add(rec record) error {
	rec.time = max(rec.time, w.time)
	w.at, w.time = rec.end(), rec.time
	if w.keep == nil {
		return nil
	}
	return w.keep(rec)
}

func (w *walker) sum(rec record) (uint32, error) {
	sum := uint32(0)
	for at := rec.offset; at < rec.end(); {
		n, err := w.log.ReadAt(w.buf[:min(rec.end()-at, int64(len(w.buf)))], at)
		sum, at = crc32.Update(sum, castagnoli, w.buf[:n]), at+int64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, fmt.Errorf("unable to read log: %w", err)
		}
	}
	return sum, nil
}
