package term

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
)

// errStopped ends a Read of an Input that was stopped.
var errStopped = errors.New("no longer read")

// Input reads a file until it is stopped: what is typed later stays for whoever reads next. A
// terminal in whose background this process is, is left alone: reading would stop the process.
type Input struct {
	f        *os.File
	wake     *os.File // readable once stopped
	stop     *os.File
	terminal bool
	stopped  atomic.Bool
	reading  sync.Mutex // held while something else reads the file
}

// NewInput returns an Input on f. Stop it.
func NewInput(f *os.File) (*Input, error) {
	wake, stop, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &Input{f: f, wake: wake, stop: stop, terminal: IsTerminal(f)}, nil
}

// Read waits for input; it ends with io.EOF once the Input is stopped.
func (i *Input) Read(p []byte) (int, error) {
	for {
		err := i.await()
		if errors.Is(err, errStopped) {
			return 0, io.EOF
		}
		if err != nil {
			return 0, err
		}
		n, err, again := i.read(p)
		if !again {
			return n, err
		}
	}
}

// read asks again whether there is anything: a question may have had the answer meanwhile.
func (i *Input) read(p []byte) (n int, err error, again bool) {
	i.reading.Lock()
	defer i.reading.Unlock()
	if !i.ready() {
		return 0, nil, true
	}
	n, err = i.f.Read(p)
	return n, err, false
}

// Hold keeps Read away from the file until the returned function is called: what is typed then
// answers a question, and must not go where the input goes.
func (i *Input) Hold() (release func()) {
	i.reading.Lock()
	return i.reading.Unlock
}

// Stop ends a Read that waits, and all later ones. It is called once.
func (i *Input) Stop() {
	i.stopped.Store(true)
	i.stop.Close()
}

// Stopped tells whether the end of the input is only that of Stop.
func (i *Input) Stopped() bool { return i.stopped.Load() }

// Close gives up what Input holds once nobody reads it any more; the file stays open.
func (i *Input) Close() { i.wake.Close() }
