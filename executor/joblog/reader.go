//go:build linux

package joblog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/layout"
)

// together is how far apart in time bytes of one stream may have arrived to be read as one chunk.
const together = int64(time.Millisecond)

// Reader reads one job's log while it grows. Every call says how large the log is known to be;
// what lies behind that is not looked at. It belongs to one goroutine.
type Reader struct {
	log, idx *os.File
	block    []record // records first, first+1, … ; each ended within the log when it was read
	first    int64
	raw      []byte
}

// Open opens the log of a job.
func Open(data layout.Data, id string) (*Reader, error) {
	log, err := os.Open(data.Log(id))
	if err != nil {
		return nil, fmt.Errorf("unable to open log: %w", err)
	}
	idx, err := os.Open(data.LogIndex(id))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("unable to open log: %w", err), log.Close())
	}
	r := &Reader{log: log, idx: idx}
	if err := checkVersion(idx); err != nil {
		return nil, errors.Join(api.Errorf(api.Incompatible, "cyclops install HOST brings an executor that knows it; `less` reads the log as it is", "unable to open log: %w", err), r.Close())
	}
	return r, nil
}

// Close closes both files.
func (r *Reader) Close() error { return errors.Join(r.log.Close(), r.idx.Close()) }

// Size returns how many bytes the log holds now. While a job runs its supervisor's word counts
// instead: the last bytes may be still on their way.
func (r *Reader) Size() (int64, error) {
	info, err := r.log.Stat()
	if err != nil {
		return 0, fmt.Errorf("unable to read log: %w", err)
	}
	return info.Size(), nil
}

// Read returns the first bytes of stream (0: any) at or behind offset and before size, as many
// as fit into buf and arrived together, and the offset to go on from. io.EOF means that there
// are none. The chunk's Data lies in buf.
func (r *Reader) Read(offset, size int64, stream uint8, buf []byte) (api.LogChunk, int64, error) {
	i, rec, err := r.covering(offset, size)
	for err == nil && stream != 0 && rec.stream != stream && rec.stream != api.StreamUnknown {
		offset = rec.end()
		i, rec, err = r.following(i, rec, size)
	}
	if err != nil {
		return api.LogChunk{}, offset, err
	}
	end := r.extend(i, rec, min(size, offset+int64(len(buf))))
	n, err := r.log.ReadAt(buf[:end-offset], offset)
	if int64(n) < end-offset {
		return api.LogChunk{}, offset, fmt.Errorf("unable to read log at %d: %w", offset, noEOF(err))
	}
	return api.LogChunk{Offset: offset, Time: rec.time, Stream: rec.stream, Data: buf[:n]}, end, nil
}

// extend returns where the run of records that arrived together with rec ends, at most limit.
func (r *Reader) extend(i int64, rec record, limit int64) int64 {
	end := rec.end()
	for end < limit {
		next, ok := r.cached(i + 1)
		if i < 0 || !ok || next.offset != end || next.stream != rec.stream || next.time-rec.time > together {
			break
		}
		i, end = i+1, next.end()
	}
	return min(end, limit)
}

// covering returns the record that describes the byte at offset and its number. Bytes that no
// record describes come as a record of an unknown stream with the number -1.
func (r *Reader) covering(offset, size int64) (int64, record, error) {
	if offset >= size || offset < 0 {
		return 0, record{}, io.EOF
	}
	if len(r.block) > 0 {
		last := r.block[len(r.block)-1]
		if r.block[0].offset <= offset && offset < last.end() {
			k := sort.Search(len(r.block), func(k int) bool { return r.block[k].end() > offset })
			return r.described(r.first+int64(k), r.block[k], offset)
		}
		if offset == last.end() {
			return r.at(r.first+int64(len(r.block)), offset, size)
		}
	}
	i, err := r.search(size, func(rec record) bool { return rec.end() > offset })
	if err != nil {
		return 0, record{}, err
	}
	return r.at(i, offset, size)
}

// following returns what describes the bytes right behind rec.
func (r *Reader) following(i int64, rec record, size int64) (int64, record, error) {
	if rec.end() >= size {
		return 0, record{}, io.EOF
	}
	if i < 0 {
		return r.covering(rec.end(), size)
	}
	return r.at(i+1, rec.end(), size)
}

// at returns record i, which describes offset or comes behind it.
func (r *Reader) at(i, offset, size int64) (int64, record, error) {
	if rec, ok := r.cached(i); ok {
		return r.described(i, rec, offset)
	}
	if err := r.load(i, size); err != nil {
		return 0, record{}, err
	}
	if rec, ok := r.cached(i); ok {
		return r.described(i, rec, offset)
	}
	return -1, record{offset: offset, length: clip(size - offset), time: r.lastTime(i)}, nil
}

// described puts an unknown record into the gap before rec, if there is one.
func (r *Reader) described(i int64, rec record, offset int64) (int64, record, error) {
	if rec.offset > offset {
		return -1, record{offset: offset, length: clip(rec.offset - offset), time: rec.time}, nil
	}
	return i, rec, nil
}

func (r *Reader) cached(i int64) (record, bool) {
	if i < r.first || i >= r.first+int64(len(r.block)) {
		return record{}, false
	}
	return r.block[i-r.first], true
}

// load takes in records from number i on. A record that ends behind size may still be taken
// back by the writer, so it is not kept.
func (r *Reader) load(i, size int64) error {
	recs, err := r.records(i, recordBlock)
	if err != nil {
		return err
	}
	n := sort.Search(len(recs), func(k int) bool { return recs[k].end() > size })
	r.first, r.block = i, recs[:n]
	return nil
}

// records reads up to n records from number i on, fewer at the end of the index.
func (r *Reader) records(i int64, n int) ([]record, error) {
	if r.raw == nil {
		r.raw = make([]byte, recordBlock*recordSize)
	}
	got, err := r.idx.ReadAt(r.raw[:n*recordSize], recordAt(i))
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("unable to read log index: %w", err)
	}
	recs := make([]record, 0, got/recordSize)
	for b := r.raw[:got]; len(b) >= recordSize; b = b[recordSize:] {
		rec, ok := decodeRecord(b)
		if !ok {
			return r.damaged(recs, i)
		}
		recs = append(recs, rec)
	}
	return recs, nil
}

// damaged tells a record that is being written, which is the last, from one that was spoiled.
func (r *Reader) damaged(recs []record, i int64) ([]record, error) {
	bad := i + int64(len(recs))
	info, err := r.idx.Stat()
	if err != nil {
		return nil, fmt.Errorf("unable to read log index: %w", err)
	}
	if bad < indexed(info.Size())-1 {
		return nil, api.Errorf(api.Corrupt, "", "unable to read log index: record %d is damaged", bad)
	}
	return recs, nil
}

// search returns the number of the first record for which found holds, or the number of records
// within size. found must hold for all records behind one for which it holds.
func (r *Reader) search(size int64, found func(record) bool) (int64, error) {
	info, err := r.idx.Stat()
	if err != nil {
		return 0, fmt.Errorf("unable to read log index: %w", err)
	}
	lo, hi := int64(0), indexed(info.Size())
	for lo < hi {
		mid := lo + (hi-lo)/2
		recs, err := r.records(mid, 1)
		if err != nil {
			return 0, err
		}
		if len(recs) == 0 || recs[0].end() > size || found(recs[0]) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo, nil
}

// lastTime returns the time of the record before number i.
func (r *Reader) lastTime(i int64) int64 {
	if i <= 0 {
		return 0
	}
	recs, err := r.records(i-1, 1)
	if err != nil || len(recs) == 0 {
		return 0
	}
	return recs[0].time
}

func clip(n int64) uint32 { return uint32(min(n, maxAppend)) }

func noEOF(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
