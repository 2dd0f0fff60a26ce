//go:build linux

package joblog

import "bytes"

// Back returns where the last n lines of stream (0: any) before offset begin. It looks at most
// limit bytes back, and at most backRecords records: a log may be one line, or have one of stderr.
func (r *Reader) Back(offset, size int64, n int, stream uint8, limit int64) (int64, error) {
	offset = min(offset, size)
	if n <= 0 || offset <= 0 {
		return max(0, offset), nil
	}
	t := tail{r: r, want: n, buf: make([]byte, 64<<10)}
	if stream == 0 {
		return t.scan(max(0, offset-limit), offset)
	}
	return r.backStream(&t, offset, size, stream, limit)
}

// backRecords bounds a walk back through records of the other stream.
const backRecords = 1 << 18

// backStream walks back over the records of one stream. Where it gives up it returns how far it came.
func (r *Reader) backStream(t *tail, offset, size int64, stream uint8, limit int64) (int64, error) {
	first, err := r.search(size, func(rec record) bool { return rec.end() >= offset })
	if err != nil {
		return 0, err
	}
	at, seen := offset, int64(0)
	for walked := int64(0); first >= 0 && walked < backRecords && seen < limit; {
		from := max(0, first+1-recordBlock)
		recs, err := r.records(from, int(first+1-from))
		if err != nil {
			return 0, err
		}
		for i := len(recs) - 1; i >= 0; i-- {
			rec := recs[i]
			if rec.offset >= offset {
				continue
			}
			at = rec.offset
			if rec.stream != stream {
				continue
			}
			end := min(rec.end(), offset)
			seen += end - rec.offset
			if found, err := t.scan(rec.offset, end); err != nil || t.want == 0 {
				return found, err
			}
		}
		walked += first + 1 - from
		first = from - 1
	}
	return at, nil
}

// maxLineBack is how far the beginning of a line is looked for.
const maxLineBack = 4 << 10

// lineStart returns where the line around offset begins, at most maxLineBack bytes back.
func (r *Reader) lineStart(offset int64) (int64, error) {
	from := max(0, offset-maxLineBack)
	b := make([]byte, offset-from)
	if _, err := r.log.ReadAt(b, from); err != nil && len(b) > 0 {
		return 0, noEOF(err)
	}
	return from + int64(bytes.LastIndexByte(b, '\n')+1), nil
}
