package term

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"
)

// errGivenUp ends a Write whose bytes nobody took.
var errGivenUp = errors.New("nobody takes what is written")

// moment is how long a Write may wait once its Output is stopped.
const moment = 100 * time.Millisecond

// Output writes to a file until it is stopped. A pipe that nobody reads and a terminal that is
// frozen keep a plain write for as long as they like, and the process with it, whatever signals
// say that it is to end. The file's own flags stay as they are: others may write to it too.
type Output struct {
	f    *os.File
	once sync.Once
	own  *os.File      // f, opened a second time so that its writes can end; nil: not to be had
	slow bool          // a write may have to wait
	stop chan struct{} // closed once stopped

	mu    sync.Mutex
	stuck bool // a write was left behind: another must not overtake it
}

// NewOutput returns an Output on f.
func NewOutput(f *os.File) *Output { return &Output{f: f, stop: make(chan struct{})} }

// File is what it writes to.
func (o *Output) File() *os.File { return o.f }

// Terminal tells whether it shows to a person.
func (o *Output) Terminal() bool { return IsTerminal(o.f) }

// open is put off until something is written: most commands write nothing to one of the two.
func (o *Output) open() {
	info, err := o.f.Stat()
	o.slow = err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) != 0 || IsTerminal(o.f)
	if o.slow {
		o.own = reopen(o.f)
	}
}

// Write waits until all of p is taken, but only for a moment once o is stopped. n is what was taken.
func (o *Output) Write(p []byte) (n int, err error) {
	o.once.Do(o.open)
	switch {
	case o.own != nil:
		return o.write(p)
	case o.slow:
		return o.hand(p)
	}
	return o.f.Write(p)
}

// Stop gives up writes that wait: soon no Write waits any more.
func (o *Output) Stop() {
	o.once.Do(o.open)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stopped() {
		return
	}
	close(o.stop)
	if o.own != nil {
		_ = o.own.SetWriteDeadline(time.Now().Add(moment))
	}
}

func (o *Output) stopped() bool {
	select {
	case <-o.stop:
		return true
	default:
		return false
	}
}

func (o *Output) write(p []byte) (int, error) {
	if o.stopped() {
		_ = o.own.SetWriteDeadline(time.Now().Add(moment))
	}
	n, err := o.own.Write(p)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, errGivenUp
	case isBrokenPipe(err): // standard output's own ends the process, as it should
		_, err = o.f.Write(p[n:])
	}
	return n, err
}

// piece is what a pipe takes whole or not at all: of a write that is left behind it is known that
// nothing was taken.
const piece = 4096

// hand has goroutines write what may have to wait. One that does when o is stopped is left behind
// with a copy of what it writes: the process is about to end.
func (o *Output) hand(p []byte) (n int, err error) {
	o.mu.Lock()
	stuck := o.stuck
	o.mu.Unlock()
	for n < len(p) && err == nil && !stuck {
		data := bytes.Clone(p[n:min(len(p), n+piece)])
		done := make(chan error, 1)
		written := 0
		go func() {
			var err error
			written, err = o.f.Write(data)
			done <- err
		}()
		if err, stuck = o.await(done); !stuck {
			n += written
		}
	}
	if stuck {
		return n, errGivenUp
	}
	return n, err
}

// await tells whether the write was left behind.
func (o *Output) await(done <-chan error) (err error, stuck bool) {
	select {
	case err := <-done:
		return err, false
	case <-o.stop:
	}
	select {
	case err := <-done:
		return err, false
	case <-time.After(moment):
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stuck = true
	return nil, true
}
