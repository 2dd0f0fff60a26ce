package term

import (
	"os"

	xterm "golang.org/x/term"
)

// Raw is a terminal whose keys arrive one by one and whose bytes pass as they are.
type Raw struct {
	f      *os.File
	before *xterm.State
	guard  *Guard // nil: none could be had
}

// MakeRaw makes the terminal f raw. guard, if not nil, learns how to undo that. Restore it.
func MakeRaw(f *os.File, guard *Guard) (*Raw, error) {
	old, oldErr := settingsOf(f)
	before, err := xterm.MakeRaw(int(f.Fd()))
	if err != nil {
		return nil, err
	}
	if now, err := settingsOf(f); err == nil && oldErr == nil {
		guard.arm(old, now)
	}
	return &Raw{f, before, guard}, nil
}

// Restore makes the terminal what it was. One that is gone needs nothing.
func (r *Raw) Restore() {
	_ = xterm.Restore(int(r.f.Fd()), r.before)
	r.guard.disarm()
}

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
