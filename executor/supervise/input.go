//go:build linux

package supervise

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// stdinPiece is how much is written at a time, and so how finely it is acknowledged.
const stdinPiece = 16 << 10

// input hands a client's bytes to the job. No more than api.StdinWindow of them wait here: what
// the job does not read stays with the client.
type input struct {
	their int // read end, given to every step
	ours  *os.File
	told  func(taken int64, closed bool)
	done  chan struct{}

	mu       sync.Mutex
	received int64 // offset behind the last byte in pending
	taken    int64 // offset up to which the pipe has taken it
	end      int64 // offset at which the input ends; -1: not known
	closed   bool  // the job takes no more
	pending  []byte
	wake     chan struct{}
}

func newInput(told func(int64, bool)) (*input, error) {
	p, err := newPipe(false)
	if err != nil {
		return nil, err
	}
	in := &input{their: p.theirs, ours: os.NewFile(uintptr(p.ours), "stdin"), told: told, done: make(chan struct{}), end: -1, wake: make(chan struct{}, 1)}
	go in.run()
	return in, nil
}

// add takes bytes that begin at offset. What is sent a second time, after a line broke, is dropped.
func (in *input) add(offset int64, data []byte) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return nil
	}
	if offset > in.received {
		return api.Errorf(api.Invalid, "", "input at %d comes before that at %d", offset, in.received)
	}
	data = data[min(in.received-offset, int64(len(data))):]
	if len(in.pending)+len(data) > api.StdinWindow {
		return api.Errorf(api.Invalid, "", "input at %d is beyond the window of %d bytes", offset, api.StdinWindow)
	}
	in.pending = append(in.pending, data...)
	in.received += int64(len(data))
	in.nudge()
	return nil
}

// finish says at which offset the input ends.
func (in *input) finish(offset int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.end = offset
	in.nudge()
}

func (in *input) nudge() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

func (in *input) run() {
	defer close(in.done)
	defer in.ours.Close()
	for range in.wake {
		for {
			piece, ended := in.next()
			if ended {
				return
			}
			if len(piece) == 0 {
				break
			}
			n, err := in.ours.Write(piece)
			if in.advance(n, err != nil); err != nil {
				return
			}
		}
	}
}

// next returns the bytes to be written now, and whether the input is over.
func (in *input) next() ([]byte, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed || in.end >= 0 && in.taken >= in.end {
		return nil, true
	}
	return append([]byte(nil), in.pending[:min(len(in.pending), stdinPiece)]...), false
}

func (in *input) advance(n int, closed bool) {
	in.mu.Lock()
	in.taken += int64(n)
	in.pending = append(in.pending[:0], in.pending[n:]...)
	in.closed = in.closed || closed
	taken, closed := in.taken, in.closed
	in.mu.Unlock()
	in.told(taken, closed)
}

// last closes our copy of the job's end: from here on the pipe breaks when the job closes it.
func (in *input) last() {
	if in.their >= 0 {
		unix.Close(in.their)
		in.their = -1
	}
}

// stop says that the job takes no more input and waits for the writer to end.
func (in *input) stop() {
	in.last()
	in.ours.Close()
	in.advance(0, true)
	in.mu.Lock()
	in.nudge()
	in.mu.Unlock()
	<-in.done
}
