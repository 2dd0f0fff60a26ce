package pack

import (
	"runtime"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// defaultCache holds one frame of trees and a few of blobs.
const defaultCache = 4 * FrameSize

// Cache keeps the frames that were decoded last, for one Reader or several that are read
// together. It is safe for concurrent use.
type Cache struct {
	limit int64 // bytes
	zip   func() (*zstd.Decoder, error)
	mu    sync.Mutex
	size  int64
	kept  []*decoded // last used first
}

// decoded is one frame's bytes, which nobody changes.
type decoded struct {
	pack  *Reader
	frame int
	data  []byte
}

// NewCache returns a cache that keeps up to limit bytes, but one frame at least.
func NewCache(limit int64) *Cache { return &Cache{limit: limit, zip: sync.OnceValues(newDecoder)} }

// newDecoder returns a decoder that never makes more bytes than it is given room for.
func newDecoder() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(runtime.GOMAXPROCS(0)),
		zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxMemory(MaxFrame), zstd.WithDecoderMaxWindow(MaxFrame))
}

// frame returns the bytes of a frame.
func (c *Cache) frame(r *Reader, i int) ([]byte, error) {
	if data := c.find(r, i); data != nil {
		return data, nil
	}
	packed := make([]byte, r.frames[i].packed)
	if err := readAt(r.file, packed, r.frames[i].at); err != nil {
		return nil, err
	}
	data, err := c.decode(packed, i, r.frames[i].size)
	if err == nil {
		c.keep(&decoded{pack: r, frame: i, data: data})
	}
	return data, err
}

// decode returns the size bytes that packed must hold.
func (c *Cache) decode(packed []byte, i int, size int64) ([]byte, error) {
	zip, err := c.zip()
	if err != nil {
		return nil, err
	}
	data, err := zip.DecodeAll(packed, make([]byte, 0, size))
	if err != nil {
		return nil, formatErrorf("frame %d: %v", i, err)
	}
	if int64(len(data)) != size {
		return nil, formatErrorf("frame %d holds %d bytes, not %d", i, len(data), size)
	}
	return data, nil
}

func (c *Cache) find(r *Reader, i int) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := slices.IndexFunc(c.kept, func(d *decoded) bool { return d.pack == r && d.frame == i })
	if at < 0 {
		return nil
	}
	d := c.kept[at]
	copy(c.kept[1:at+1], c.kept[:at])
	c.kept[0] = d
	return d.data
}

func (c *Cache) keep(d *decoded) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = slices.Insert(c.kept, 0, d)
	c.size += int64(len(d.data))
	for len(c.kept) > 1 && c.size > c.limit {
		last := len(c.kept) - 1
		c.size -= int64(len(c.kept[last].data))
		c.kept[last] = nil
		c.kept = c.kept[:last]
	}
}
