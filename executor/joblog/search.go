//go:build linux

package joblog

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// OffsetSince returns where the log of size bytes begins to be no older than t.
func (r *Reader) OffsetSince(t time.Time, size int64) (int64, error) {
	i, err := r.search(size, func(rec record) bool { return rec.time >= t.UnixNano() })
	if err != nil {
		return 0, err
	}
	recs, err := r.records(i, 1)
	if err != nil {
		return 0, err
	}
	if len(recs) == 0 || recs[0].end() > size {
		return size, nil
	}
	return recs[0].offset, nil
}

// OffsetOfTail returns where the last n lines of stream (0: any) begin in the log of size bytes.
func (r *Reader) OffsetOfTail(n int, size int64, stream uint8) (int64, error) {
	if n <= 0 {
		return size, nil
	}
	t := tail{r: r, want: n, buf: make([]byte, 64<<10)}
	if stream == 0 {
		return t.scan(0, size)
	}
	i, err := r.search(size, func(record) bool { return false })
	for i--; err == nil && i >= 0; i-- {
		recs, rerr := r.records(i, 1)
		if rerr != nil || len(recs) == 0 {
			return 0, rerr
		}
		if recs[0].stream != stream {
			continue
		}
		if at, serr := t.scan(recs[0].offset, recs[0].end()); serr != nil || t.want == 0 {
			return at, serr
		}
	}
	return 0, err
}

// tail counts lines from the end of a log towards its beginning.
type tail struct {
	r    *Reader
	want int  // lines still to be found
	seen bool // some byte was passed; a newline as the very last byte ends a line, it begins none
	buf  []byte
}

// scan looks at the bytes from..to and returns where the last wanted line begins; want is 0 once it was found.
func (t *tail) scan(from, to int64) (int64, error) {
	for to > from {
		b := t.buf[:min(int64(len(t.buf)), to-from)]
		start := to - int64(len(b))
		if n, err := t.r.log.ReadAt(b, start); n < len(b) {
			return 0, fmt.Errorf("unable to read log at %d: %w", start, noEOF(err))
		}
		if k := t.count(b); k >= 0 {
			return start + int64(k), nil
		}
		to = start
	}
	return from, nil
}

// count returns the index in b of the beginning of the last wanted line, or -1.
func (t *tail) count(b []byte) int {
	for end := len(b); ; {
		k := bytes.LastIndexByte(b[:end], '\n')
		if k < 0 {
			t.seen = t.seen || len(b) > 0
			return -1
		}
		if t.seen || k+1 < len(b) {
			if t.want--; t.want == 0 {
				return k + 1
			}
		}
		t.seen, end = true, k
	}
}

// Copy writes all of stream (0: any) within size to w.
func (r *Reader) Copy(w io.Writer, size int64, stream uint8) error {
	buf := make([]byte, 256<<10)
	for offset := int64(0); ; {
		chunk, next, err := r.Read(offset, size, stream, buf)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(chunk.Data); err != nil {
			return err
		}
		offset = next
	}
}
