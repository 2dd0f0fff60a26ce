package term

import (
	"errors"
	"io"
	"os"
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
	err := i.await()
	if errors.Is(err, errStopped) {
		return 0, io.EOF
	}
	if err != nil {
		return 0, err
	}
	return i.f.Read(p)
}

// Stop ends a Read that waits, and all later ones. It is called once.
func (i *Input) Stop() { i.stop.Close() }

// Close gives up what Input holds once nobody reads it any more; the file stays open.
func (i *Input) Close() { i.wake.Close() }
