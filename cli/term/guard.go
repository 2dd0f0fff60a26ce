package term

import (
	"io"
	"os"
)

// What a client tells its guard. EOF is the news that the client is no more.
const (
	orderBefore = 'b' // note how the terminal is set: this is to be restored
	orderRaw    = 'r' // note how it is set now: this is what we did to it
	orderUndo   = 'u' // two bytes of length and what resets the modes that the job switched on
	orderFree   = 'f' // the terminal is restored; there is nothing to do
)

// maxUndo is the most that Reset can return, by far.
const maxUndo = 1024

// RunGuard watches over a terminal that another process made raw: when orders end in the middle of
// things, because that process was killed, it restores the terminal's settings, if they still are
// what that process made them, and writes to screen what resets the modes that its job switched on.
func RunGuard(terminal, screen *os.File, orders io.Reader, answers io.Writer) {
	g := guarding{terminal: terminal, orders: orders, answers: answers}
	for g.order() {
	}
	if !g.armed {
		return
	}
	if now, err := stateOf(terminal); err == nil && now.equal(g.raw) {
		(&Raw{terminal, g.before.State}).Restore()
	}
	_, _ = screen.Write(g.undo)
}

// guarding is a guard at work.
type guarding struct {
	terminal    *os.File
	orders      io.Reader
	answers     io.Writer
	before, raw state
	armed       bool
	undo        []byte
}

// order takes the next order; false: there are none any more.
func (g *guarding) order() bool {
	var b [1]byte
	if _, err := io.ReadFull(g.orders, b[:]); err != nil {
		return false
	}
	var err error
	switch b[0] {
	case orderBefore:
		g.before, err = stateOf(g.terminal)
	case orderRaw:
		g.raw, err = stateOf(g.terminal)
		g.armed = err == nil
	case orderFree:
		g.armed = false
	case orderUndo:
		return g.takeUndo() == nil
	}
	if err == nil {
		_, err = g.answers.Write(b[:])
	}
	return err == nil
}

func (g *guarding) takeUndo() error {
	var length [2]byte
	if _, err := io.ReadFull(g.orders, length[:]); err != nil {
		return err
	}
	undo := make([]byte, min(int(length[0])<<8|int(length[1]), maxUndo))
	if _, err := io.ReadFull(g.orders, undo); err != nil {
		return err
	}
	g.undo = undo
	return nil
}
