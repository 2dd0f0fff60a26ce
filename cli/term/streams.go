// Package term is what the command line knows of terminals: streams, colour, the status line
// and the filter that makes a job's bytes safe to show.
package term

import (
	"io"
	"os"

	"github.com/cyclops-fpga/cyclops/manifest/caret"
	"github.com/mattn/go-isatty"
)

// Streams are the three files of a command.
type Streams struct {
	In  *os.File
	Out *os.File
	Err *os.File
}

// Standard returns the process's own streams.
func Standard() Streams { return Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr} }

// IsTerminal tells whether f shows to a person.
func IsTerminal(f *os.File) bool {
	return f != nil && (isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()))
}

// Interactive tells whether a person can be asked: prompts go to stderr and are read from stdin.
func (s Streams) Interactive() bool { return IsTerminal(s.In) && IsTerminal(s.Err) }

// JobWriter returns where bytes of a job go: made safe on a terminal, as they are elsewhere.
func JobWriter(o *Output) io.Writer {
	if o.Terminal() {
		return caret.New(o)
	}
	return o
}
