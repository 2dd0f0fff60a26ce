package term

import (
	"os"
	"reflect"

	xterm "golang.org/x/term"
)

// Raw is a terminal whose keys arrive one by one and whose bytes pass as they are.
type Raw struct {
	f      *os.File
	before *xterm.State
}

// MakeRaw makes the terminal f raw. Restore it.
func MakeRaw(f *os.File) (*Raw, error) {
	before, err := xterm.MakeRaw(int(f.Fd()))
	if err != nil {
		return nil, err
	}
	return &Raw{f, before}, nil
}

// Restore makes the terminal what it was. One that is gone needs nothing.
func (r *Raw) Restore() { _ = xterm.Restore(int(r.f.Fd()), r.before) }

// Size returns the rows and columns of the terminal f; ok tells whether it is one.
func Size(f *os.File) (rows, cols int, ok bool) {
	if f == nil {
		return 0, 0, false
	}
	cols, rows, err := xterm.GetSize(int(f.Fd()))
	return rows, cols, err == nil
}

// Alive tells whether the terminal f is still there: one that hung up reads as ended.
func Alive(f *os.File) bool {
	_, err := xterm.GetState(int(f.Fd()))
	return err == nil
}

// state is how a terminal is set, to be compared.
type state struct{ *xterm.State }

func stateOf(f *os.File) (state, error) {
	s, err := xterm.GetState(int(f.Fd()))
	return state{s}, err
}

func (s state) equal(other state) bool { return reflect.DeepEqual(s.State, other.State) }
