package term

import (
	"bytes"
	"strconv"
	"strings"
)

// Modes watches the bytes that a job writes to a terminal and knows which modes they left
// switched on, so that the screen can be made sane when the job is left in the middle of things.
// It sees the same however the bytes are cut into chunks.
type Modes struct {
	private uint32 // of privateModes, by index: differs from how a terminal begins
	other   otherModes
	kitty   int    // depth of the stack of keyboard protocols
	pending []byte // the beginning of a sequence that the last chunk broke off
	seen    bool   // there was a sequence at all: a dumb terminal gets no answer in sequences
}

// otherModes are not switched by CSI ? n h.
type otherModes struct {
	keypad, region, graphic, coloured, insert, shape, keys bool
}

// privateMode is one that CSI ? number h and l switch.
type privateMode struct {
	number   string
	inverted bool // on as a terminal begins
	screen   bool // switches to the alternate screen
}

// privateModes in the order in which they are undone.
var privateModes = [...]privateMode{
	{number: "2026"}, {number: "1000"}, {number: "1002"}, {number: "1003"}, {number: "1004"}, {number: "1005"}, {number: "1006"}, {number: "1015"}, {number: "1016"},
	{number: "2004"}, {number: "1"}, {number: "5"}, {number: "6"}, {number: "7", inverted: true},
	{number: "1047", screen: true}, {number: "47", screen: true}, {number: "1049", screen: true},
	{number: "25", inverted: true},
}

// longestSequence bounds what is taken for one sequence; what is longer is none.
const longestSequence = 64

// Scan looks at the next bytes and tells whether a mode changed. Colours change too often to count.
func (m *Modes) Scan(p []byte) (changed bool) {
	private, other, kitty := m.private, m.other, m.kitty
	p = m.finish(p)
	for {
		i := bytes.IndexByte(p, 0x1b)
		if i < 0 {
			break
		}
		m.seen = true
		p = p[i:]
		n, complete := sequenceLength(p)
		if !complete {
			m.pending = append(m.pending[:0], p...)
			break
		}
		m.apply(p[1:n])
		p = p[n:]
	}
	other.coloured = m.other.coloured
	return private != m.private || other != m.other || kitty != m.kitty
}

// finish ends the sequence that the last chunk broke off and returns what comes behind it.
func (m *Modes) finish(p []byte) []byte {
	for len(m.pending) > 0 && len(p) > 0 {
		had := len(m.pending)
		data := append(m.pending, p[:min(len(p), longestSequence)]...)
		n, complete := sequenceLength(data)
		if !complete {
			m.pending = data
			return nil
		}
		m.apply(data[1:n])
		if n >= had {
			m.pending = m.pending[:0]
			return p[n-had:]
		}
		// It was no sequence after all; what it held may hold another.
		rest := data[n:had]
		if i := bytes.IndexByte(rest, 0x1b); i >= 0 {
			m.pending = append(m.pending[:0], rest[i:]...)
			continue
		}
		m.pending = m.pending[:0]
	}
	return p
}

// sequenceLength returns the length of the escape sequence at the beginning of data, 1 if there
// is none, and whether there is enough of it to tell.
func sequenceLength(data []byte) (n int, complete bool) {
	if len(data) < 2 {
		return 0, false
	}
	i := 1
	if data[1] == '[' {
		i = 2
		for i < len(data) && i < longestSequence && data[i] >= 0x20 && data[i] < 0x40 {
			i++
		}
	} else {
		for i < len(data) && i < longestSequence && data[i] >= 0x20 && data[i] < 0x30 {
			i++
		}
	}
	switch {
	case i >= longestSequence:
		return 1, true
	case i >= len(data):
		return 0, false
	case data[i] < 0x20 || data[i] > 0x7e: // broken off by a control character
		return i, true
	}
	return i + 1, true
}

// apply takes a sequence without its ESC.
func (m *Modes) apply(s []byte) {
	if len(s) < 1 {
		return
	}
	if s[0] == '[' {
		if len(s) > 1 {
			m.control(s[1:len(s)-1], s[len(s)-1])
		}
		return
	}
	switch string(s) {
	case "=":
		m.other.keypad = true
	case ">":
		m.other.keypad = false
	case "(0":
		m.other.graphic = true
	case "(B":
		m.other.graphic = false
	case "c":
		m.private, m.other, m.kitty = 0, otherModes{}, 0
	}
}

// control takes a CSI sequence: parameters and the letter that ends it.
func (m *Modes) control(parameters []byte, final byte) {
	switch final {
	case 'm':
		m.colour(parameters)
	case 'h', 'l':
		m.mode(string(parameters), final == 'h')
	case 'r':
		if len(parameters) == 0 || parameters[0] != '?' { // with it, it is something else
			m.other.region = len(parameters) > 0
		}
	case 'q':
		if n, ok := strings.CutSuffix(string(parameters), " "); ok {
			m.other.shape = n != "" && n != "0"
		}
	case 'u':
		m.keyboard(string(parameters))
	case 'p':
		if string(parameters) == "!" { // a soft reset: all but screen, mouse and paste
			m.other = otherModes{keys: m.other.keys}
			m.private &^= maskOf("1", "6", "7", "25")
		}
	}
}

func (m *Modes) colour(parameters []byte) {
	if len(parameters) > 0 && parameters[0] == '>' {
		key, value, _ := strings.Cut(string(parameters[1:]), ";")
		if key == "4" || key == "" {
			m.other.keys = value != "" && value != "0"
		}
		return
	}
	m.other.coloured = len(parameters) > 0 && !(len(parameters) == 1 && parameters[0] == '0')
}

func (m *Modes) mode(parameters string, on bool) {
	numbers, private := strings.CutPrefix(parameters, "?")
	for number := range strings.SplitSeq(numbers, ";") {
		if !private {
			m.other.insert = number == "4" && on || number != "4" && m.other.insert
			continue
		}
		for i, known := range privateModes {
			if known.number != number {
				continue
			}
			m.private &^= 1 << i
			if on != known.inverted {
				m.private |= 1 << i
			}
		}
	}
}

// keyboard follows kitty's stack of protocols: CSI > flags u pushes, CSI < n u pops n.
func (m *Modes) keyboard(parameters string) {
	const deepest = 99
	if n, ok := strings.CutPrefix(parameters, "<"); ok {
		popped, err := strconv.Atoi(n)
		if err != nil {
			popped = 1
		}
		m.kitty = max(0, m.kitty-max(popped, 0))
	}
	if strings.HasPrefix(parameters, ">") {
		m.kitty = min(m.kitty+1, deepest)
	}
}

func maskOf(numbers ...string) (mask uint32) {
	for i, known := range privateModes {
		for _, n := range numbers {
			if known.number == n {
				mask |= 1 << i
			}
		}
	}
	return mask
}

// Alternate tells whether the job draws on the alternate screen.
func (m *Modes) Alternate() bool { return m.private&maskOf("1047", "47", "1049") != 0 }

// Whole tells whether the bytes so far end between two sequences, so that others may be written.
func (m *Modes) Whole() bool { return len(m.pending) == 0 }

// Reset returns what makes the screen as it was before the job changed its modes.
func (m *Modes) Reset() string {
	if !m.seen {
		return ""
	}
	var b strings.Builder
	if !m.Whole() {
		b.WriteByte(0x18) // CAN ends a sequence that was broken off
	}
	if m.kitty > 0 {
		b.WriteString("\x1b[<" + strconv.Itoa(m.kitty) + "u")
	}
	for _, o := range []struct {
		on   bool
		undo string
	}{
		{m.other.keys, "\x1b[>4m"}, {m.other.keypad, "\x1b>"}, {m.other.graphic, "\x1b(B"}, {m.other.insert, "\x1b[4l"}, {m.other.shape, "\x1b[0 q"},
		{m.other.region && m.Alternate(), "\x1b[r"}, {m.other.region && !m.Alternate(), "\x1b7\x1b[r\x1b8"},
	} {
		if o.on {
			b.WriteString(o.undo)
		}
	}
	for i, known := range privateModes {
		if m.private&(1<<i) != 0 {
			b.WriteString(known.switchTo(known.inverted))
		}
	}
	b.WriteString("\x1b[0m")
	return b.String()
}

// Again returns what switches on again what Reset switched off; the job draws the rest.
func (m *Modes) Again() string {
	var b strings.Builder
	for i := len(privateModes) - 1; i >= 0; i-- {
		if m.private&(1<<i) != 0 {
			b.WriteString(privateModes[i].switchTo(!privateModes[i].inverted))
		}
	}
	if m.other.keypad {
		b.WriteString("\x1b=")
	}
	if m.other.keys {
		b.WriteString("\x1b[>4;2m")
	}
	return b.String()
}

func (p privateMode) switchTo(on bool) string {
	if on {
		return "\x1b[?" + p.number + "h"
	}
	return "\x1b[?" + p.number + "l"
}
