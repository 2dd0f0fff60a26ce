package term

import "os"

// Colour is an SGR parameter.
type Colour string

// The colours of Cyclops; each means one thing.
const (
	Bad  Colour = "31" // failed
	Good Colour = "32" // succeeded
	Busy Colour = "36" // running
	Warn Colour = "33" // queued, lost, warnings
	Dim  Colour = "2"  // what can be overlooked
	Bold Colour = "1"
)

// UseColour tells whether text for f may be coloured. NO_COLOR counts with any value but the empty one.
func UseColour(f *os.File) bool {
	if os.Getenv("NO_COLOR") != "" {
		return false
	}
	if v := os.Getenv("CLICOLOR_FORCE"); v != "" && v != "0" {
		return true
	}
	return IsTerminal(f) && os.Getenv("TERM") != "dumb"
}

// Paint colours text if on.
func Paint(on bool, c Colour, text string) string {
	if !on || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}
