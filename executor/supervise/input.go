//go:build linux

package supervise

import (
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// stdinPiece is how much is written at a time, and so how finely it is acknowledged.
const stdinPiece = 16 << 10

// maxOwners bounds how many clients a job remembers that had its input before. What of theirs
// waits is bounded by as many windows: beyond that the input changes hands no more until the job
// has read some.
const maxOwners = 64

// input hands a client's bytes to the job. No more than api.StdinWindow of them wait here: what
// the job does not read stays with the client.
type input struct {
	their int // read end, given to every step; -1: none that must be closed
	ours  *os.File
	term  *terminal // that ours belongs to; nil: a pipe
	told  func(taken int64, closed bool)
	done  chan struct{}

	mu       sync.Mutex
	received int64 // offset behind the last byte in pending
	taken    int64 // offset up to which the pipe has taken it
	end      int64 // offset at which the input ends; -1: not known
	closed   bool  // the job takes no more
	pending  []byte
	wake     chan struct{}
	owner    string   // the client whose input it is; empty: whoever sends
	older    int      // bytes of others that were pending when the owner came
	lost     []string // clients from which another took it, the last maxOwners of them
	begun    bool     // the last byte ended no line
}

func newInput(b *board) (*input, error) {
	p, err := newPipe(false)
	if err != nil {
		return nil, err
	}
	in := &input{their: p.theirs, ours: os.NewFile(uintptr(p.ours), "stdin")}
	in.start(b)
	return in, nil
}

// newTerminalInput types what clients send into the job's terminal.
func newTerminalInput(t *terminal, b *board) (*input, error) {
	w, err := t.writer()
	if err != nil {
		return nil, err
	}
	in := &input{their: -1, ours: w, term: t}
	in.start(b)
	return in, nil
}

func (in *input) start(b *board) {
	in.told, in.done, in.end, in.wake = b.input, make(chan struct{}), -1, make(chan struct{}, 1)
	go in.run()
}

// take gives the input to the client of this name, unless another took it from that one before:
// a client whose line comes back must not take it away from the one that went on meanwhile, nor
// count on with offsets that are not its own any more.
func (in *input) take(name string) api.StdinOwner {
	in.mu.Lock()
	defer in.mu.Unlock()
	if name != in.owner && !slices.Contains(in.lost, name) && len(in.pending) <= maxOwners*api.StdinWindow {
		if in.owner != "" {
			in.lost = append(in.lost[max(0, len(in.lost)-maxOwners+1):], in.owner)
		}
		in.owner, in.older = name, len(in.pending)
	}
	return api.StdinOwner{Input: in.owner, Received: in.received}
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
	if len(in.pending)+len(data) > api.StdinWindow+in.older {
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
				in.endTerminal()
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
	if n > 0 {
		in.begun = in.pending[n-1] != '\n' && in.pending[n-1] != '\r'
	}
	in.pending = append(in.pending[:0], in.pending[n:]...)
	in.closed = in.closed || closed
	taken, closed := in.taken, in.closed
	in.mu.Unlock()
	in.told(taken, closed)
}

// endTerminal says by key what a pipe says by being closed.
func (in *input) endTerminal() {
	in.mu.Lock()
	begun, closed := in.begun, in.closed
	in.mu.Unlock()
	if in.term == nil || closed {
		return
	}
	if _, err := in.ours.Write(in.term.endKeys(begun)); err == nil {
		in.advance(0, true)
	}
}

// again ends the input of a step that comes behind the input's end: one before may have taken it,
// and with a pipe every step meets it.
func (in *input) again() {
	in.mu.Lock()
	ended := in.end >= 0 && in.taken >= in.end
	in.mu.Unlock()
	if ended && in.term != nil {
		in.term.endInput()
	}
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
