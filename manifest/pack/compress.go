package pack

import (
	"runtime"

	"github.com/klauspost/compress/zstd"
)

// compressor turns raw frames into compressed ones, several at once, and writes them in order.
// Its goroutines each compress one frame and end; wait is for all of them.
type compressor struct {
	zip     *zstd.Encoder
	depth   int        // frames under way at once
	pending []*squeeze // oldest first
	spare   []*squeeze // to be used again
}

// squeeze is one frame under way.
type squeeze struct {
	raw, packed []byte
	done        chan struct{}
}

// add begins to compress raw and writes what is done. It returns an empty buffer for the next frame.
func (c *compressor) add(o *output, raw []byte) ([]byte, error) {
	if err := c.start(FrameSize); err != nil {
		return raw[:0], err
	}
	next, err := c.room(o)
	if err != nil {
		return raw[:0], err
	}
	empty := next.raw
	next.raw, next.done = raw, make(chan struct{})
	c.pending = append(c.pending, next)
	go func() {
		next.packed = c.zip.EncodeAll(next.raw, next.packed[:0])
		close(next.done)
	}()
	return empty[:0], nil
}

// smallPack is up to how many raw bytes a pack is compressed the quick way: setting up the
// thorough encoder would take longer than sending what it saves.
const smallPack = 128 << 10

// start makes the encoder, unless there is one, for a pack of at least so many raw bytes.
func (c *compressor) start(raw int) (err error) {
	if c.zip != nil {
		return nil
	}
	parallel, level := runtime.GOMAXPROCS(0), zstd.SpeedDefault
	if raw <= smallPack {
		parallel, level = 1, zstd.SpeedFastest
	}
	c.depth = parallel + 1
	c.zip, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(parallel), zstd.WithEncoderLevel(level),
		zstd.WithWindowSize(FrameSize), zstd.WithLowerEncoderMem(true))
	return err
}

// room writes frames that are done, waits for the oldest when too many are under way, and
// returns a place for the next.
func (c *compressor) room(o *output) (*squeeze, error) {
	for len(c.pending) > 0 {
		oldest := c.pending[0]
		select {
		case <-oldest.done:
		default:
			if len(c.pending) < c.depth {
				return c.place(), nil
			}
		}
		if err := c.writeOldest(o); err != nil {
			return nil, err
		}
	}
	return c.place(), nil
}

func (c *compressor) place() *squeeze {
	if n := len(c.spare); n > 0 {
		s := c.spare[n-1]
		c.spare = c.spare[:n-1]
		return s
	}
	return new(squeeze)
}

func (c *compressor) writeOldest(o *output) error {
	s := c.pending[0]
	<-s.done
	c.pending = c.pending[1:]
	c.spare = append(c.spare, s)
	return o.frame(s.packed, int64(len(s.raw)))
}

// drain writes all frames that are under way.
func (c *compressor) drain(o *output) error {
	for len(c.pending) > 0 {
		if err := c.writeOldest(o); err != nil {
			return err
		}
	}
	return nil
}

// wait returns when no goroutine is left.
func (c *compressor) wait() {
	for _, s := range c.pending {
		<-s.done
	}
}
