//go:build linux

package powerfs

import "math/rand/v2"

const (
	sector = 512
	page   = 4096
)

// content makes the bytes of a file.
func (s *State) content(inode uint64) []byte {
	x := s.trace.look()
	f, draw := &file{}, s.rand(inode)
	var open []*Op
	for _, i := range x.data[inode] {
		op := &s.trace.Ops[i]
		switch {
		case i >= s.n || op.Kind == Chmod:
		case x.durable[i] < s.n:
			// What a failed sync gave up on before this may have reached the disk before this, or not at all.
			for _, before := range open {
				if s.style != nothing && draw.IntN(2) == 0 {
					f.apply(before)
				}
			}
			open = nil
			f.apply(op)
		default:
			open = append(open, op)
		}
	}
	if len(open) > 0 {
		s.tear(f, open, draw)
	}
	return f.bytes[:f.size]
}

// tear applies what no sync covers, or some of it.
func (s *State) tear(f *file, open []*Op, draw *rand.Rand) {
	how := draw.IntN(6)
	switch s.style {
	case nothing, namesOnly:
		how = 0
	case anything, bytesOnly:
		how = 1
	}
	switch how {
	case 0:
		s.Lost += len(open)
	case 1:
		for _, op := range open {
			f.apply(op)
		}
	case 2:
		s.prefix(f, open, draw)
	case 3:
		s.pieces(f, open, draw, sector)
	case 4:
		s.pieces(f, open, draw, page)
	case 5: // the new size and none of the bytes
		s.Lost += len(open)
		f.resize(sizeBehind(f.size, open))
	}
}

// prefix applies the first of the operations and the beginning of the one behind them.
func (s *State) prefix(f *file, open []*Op, draw *rand.Rand) {
	k := draw.IntN(len(open))
	for _, op := range open[:k] {
		f.apply(op)
	}
	s.Lost += len(open) - k
	if last := open[k]; last.Kind == Write && draw.IntN(2) == 0 {
		// The torn end lies where a sector ends, seen from the beginning of the file.
		whole := int64(len(last.Data))
		cut := min(max((last.At+draw.Int64N(whole+1))/sector*sector-last.At, 0), whole)
		f.write(last.At, last.Data[:cut])
		if draw.IntN(2) == 0 { // the size is that of the whole
			f.resize(max(f.size, last.At+whole))
		}
	}
}

// pieces lets each piece of the file be as it was behind a number of operations of its own.
func (s *State) pieces(f *file, open []*Op, draw *rand.Rand, unit int64) {
	seen := map[int64]int{}
	until := func(at int64) int {
		n, ok := seen[at/unit]
		if !ok {
			n = draw.IntN(len(open) + 1)
			seen[at/unit] = n
		}
		return n
	}
	size := sizeBehind(f.size, open[:draw.IntN(len(open)+1)])
	for k, op := range open {
		s.Lost++
		f.each(op, unit, func(at, end int64) {
			if k >= until(at) {
				return
			}
			if op.Kind == Truncate {
				clear(f.bytes[at:end])
			} else {
				f.write(at, op.Data[at-op.At:end-op.At])
			}
		})
	}
	f.resize(size)
}

// sizeBehind returns the size that a file of size bytes has when all of ops were applied.
func sizeBehind(size int64, ops []*Op) int64 {
	for _, op := range ops {
		if op.Kind == Truncate {
			size = op.At
		} else {
			size = max(size, op.At+int64(len(op.Data)))
		}
	}
	return size
}

// file is the content of a file. Behind size its bytes are not seen, and are zero when they come
// to be seen.
type file struct {
	bytes []byte
	size  int64
}

func (f *file) apply(op *Op) {
	if op.Kind == Truncate {
		f.resize(op.At)
		return
	}
	f.write(op.At, op.Data)
}

func (f *file) write(at int64, data []byte) {
	end := at + int64(len(data))
	f.grow(end)
	copy(f.bytes[at:end], data)
	f.size = max(f.size, end)
}

func (f *file) grow(end int64) {
	if more := end - int64(len(f.bytes)); more > 0 {
		f.bytes = append(f.bytes, make([]byte, more)...)
	}
}

func (f *file) resize(size int64) {
	f.grow(size)
	clear(f.bytes[size:])
	f.bytes, f.size = f.bytes[:size], size
}

// each calls fn for every piece of the file that an operation touches.
func (f *file) each(op *Op, unit int64, fn func(at, end int64)) {
	at, end := op.At, op.At+int64(len(op.Data))
	if op.Kind == Truncate {
		end = int64(len(f.bytes))
	}
	for at < end {
		next := min((at/unit+1)*unit, end)
		fn(at, next)
		at = next
	}
}
