// Package early keeps lipgloss from looking at the terminal at the start of every command.
//
// Merely linked, lipgloss asks what the terminal can do while packages are initialised: it reads
// the terminal's description, and inside tmux runs `tmux info`. Without TERM it asks nothing.
// Go initialises, of the packages whose imports are ready, the one first whose path comes first:
// this one needs only os, and comes before github.com/xo/terminfo, which lipgloss waits for.
package early

import "os"

const name = "TERM"

var value, hidden = hide()

func hide() (value string, hidden bool) {
	value, hidden = os.LookupEnv(name)
	if hidden {
		_ = os.Unsetenv(name) // fails for no name that can be looked up
	}
	return value, hidden
}

// Restore gives the environment back what was hidden. Who imports lipgloss calls it first thing.
func Restore() {
	if hidden {
		_ = os.Setenv(name, value)
	}
}
