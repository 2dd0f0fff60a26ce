package tui

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
	"github.com/cyclops-fpga/cyclops/manifest/caret"
)

// clean makes a host's words one safe line: controls could move the cursor, and characters that
// turn the direction of text could make one command look like another.
func clean(text string) string {
	if plain(text) {
		return text
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return '?'
		}
		return inOneLine(r)
	}, text)
}

// plain tells whether text is printable ASCII, one cell a byte.
func plain(text string) bool {
	for i := range len(text) {
		if text[i] < 0x20 || text[i] > 0x7e {
			return false
		}
	}
	return true
}

// width is how many cells text takes: the sum of its characters', as the renderer counts. A width
// of another count (of whole clusters, or by the locale) would shift whatever stands behind.
func width(text string) int {
	if plain(text) {
		return len(text)
	}
	sum := 0
	for len(text) > 0 {
		n, cells := character(text)
		sum, text = sum+cells, text[n:]
	}
	return sum
}

// character returns how many bytes the first character of text has, and how many cells it takes.
func character(text string) (n, cells int) {
	if c := text[0]; c < utf8.RuneSelf {
		if c < 0x20 || c == 0x7f {
			return 1, 0
		}
		return 1, 1
	}
	_, n = utf8.DecodeRuneInString(text)
	return n, ansi.StringWidthWc(text[:n])
}

// fit makes text exactly width cells wide, without what could steer the terminal, and marks what it left out.
func fit(text string, w int) string {
	if w <= 0 {
		return ""
	}
	text = clean(text)
	have := width(text)
	if have > w {
		text = cut(text, 0, w-width("…"), false) + "…"
		have = width(text)
	}
	return text + spaces(w-have)
}

// fitRight puts text at the right end of its cells.
func fitRight(text string, w int) string {
	text = strings.TrimRight(fit(text, w), " ")
	return spaces(w-width(text)) + text
}

const blank = "                                                                                                                                "

func spaces(n int) string {
	switch {
	case n <= 0:
		return ""
	case n <= len(blank):
		return blank[:n]
	}
	return strings.Repeat(" ", n)
}

// wrap breaks words for people into lines, as many as a screen can have.
func wrap(text string, w int) []string { return wrapUpTo(text, w, 200) }

// wrapUpTo breaks words into at most so many lines, and marks that there is more; a word that is
// longer than a line is broken. It looks at no more than it may show: a host's words can be a
// megabyte, and are broken for every frame.
func wrapUpTo(text string, w, most int) []string {
	w = max(2, w)
	looked, more := 4*w*max(1, most), false
	if len(text) > looked {
		text, more = strings.ToValidUTF8(text[:looked], ""), true
	}
	lines := []string{}
	line := ""
	for _, word := range strings.Fields(clean(text)) {
		if line != "" && width(line)+1+width(word) > w {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		for width(line)+width(word) > w {
			head := cut(word, 0, w-width(line), false)
			if head == "" { // a wide character and one cell
				lines, line = append(lines, line), ""
				continue
			}
			lines, line, word = append(lines, line+head), "", word[len(head):]
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	if more = more || len(lines) > most; more && len(lines) > 0 && most > 0 {
		lines = lines[:min(most, len(lines))]
		last := &lines[len(lines)-1]
		*last = cut(*last, 0, w-2, false) + " …"
	}
	return lines
}

// safeLine makes a line of a log what a terminal may be shown: colours stay, of what a progress
// display wrote over only the last remains, and tabs become spaces.
func safeLine(line []byte) string {
	line = trimReturn(line)
	if i := lastReturn(line); i >= 0 {
		line = line[i+1:]
	}
	if plainBytes(line) {
		return string(line)
	}
	var b strings.Builder
	w := caret.New(&b)
	_, _ = w.Write(line) // neither fails: a Builder takes everything
	_ = w.Flush()
	return expandTabs(strings.Map(inOneLine, b.String()))
}

// inOneLine keeps a character from leaving its row, from turning what stands beside it around, and
// from becoming one with the character before it, which terminals count as one or as two.
func inOneLine(r rune) rune {
	switch {
	case r < utf8.RuneSelf:
		if r == '\n' {
			return ' '
		}
	case unicode.Is(unicode.Bidi_Control, r):
		return '?'
	case unicode.In(r, unicode.Join_Control, unicode.Variation_Selector), '\U0001F3FB' <= r && r <= '\U0001F3FF': // a tone of skin
		return -1
	}
	return r
}

func trimReturn(line []byte) []byte {
	for len(line) > 0 && line[len(line)-1] == '\r' {
		line = line[:len(line)-1]
	}
	return line
}

func lastReturn(line []byte) int {
	for i := len(line) - 1; i >= 0; i-- {
		if line[i] == '\r' {
			return i
		}
	}
	return -1
}

func plainBytes(line []byte) bool {
	for _, c := range line {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return true
}

// cut returns the cells of text from column from on, at most w of them; colours stay if colour. Of
// a wide character that lies across column from the part behind it becomes a space, so that what
// follows keeps its column.
func cut(text string, from, w int, colour bool) string {
	if plain(text) {
		if from >= len(text) {
			return ""
		}
		return text[from:min(len(text), from+w)]
	}
	var b strings.Builder
	column, painted := 0, false
	for len(text) > 0 {
		if n := sgrLength(text); n > 0 {
			if colour {
				b.WriteString(text[:n])
				painted = true
			}
			text = text[n:]
			continue
		}
		n, cells := character(text)
		if column+cells > from+w {
			break
		}
		switch {
		case column >= from && (cells > 0 || column > from || from == 0):
			b.WriteString(text[:n])
		case column < from && column+cells > from:
			b.WriteString(spaces(column + cells - from))
		}
		column, text = column+cells, text[n:]
	}
	if painted {
		b.WriteString("\x1b[0m")
	}
	return b.String()
}

// rows breaks text into rows of w cells, the ones behind the first of rest, in one walk: a row at a
// time from the line's beginning takes a minute for a line of half a megabyte. There is always a first.
func rows(text string, w, rest int, colour bool) []string {
	w, rest = max(2, w), max(2, rest)
	var all []string
	var b strings.Builder
	ink, column := "", 0 // the colours that hold, and the cells of the row
	for len(text) > 0 {
		if n := sgrLength(text); n > 0 {
			if ink += text[:n]; text[:n] == "\x1b[m" || text[:n] == "\x1b[0m" {
				ink = ""
			}
			if colour {
				b.WriteString(text[:n])
			}
			text = text[n:]
			continue
		}
		n, cells := character(text)
		if column+cells > w {
			all = append(all, ended(&b, ink, colour))
			if column, w = 0, rest; colour {
				b.WriteString(ink)
			}
		}
		b.WriteString(text[:n])
		column, text = column+cells, text[n:]
	}
	return append(all, ended(&b, ink, colour))
}

// ended takes a row off b; its colours end with it.
func ended(b *strings.Builder, ink string, colour bool) string {
	if colour && ink != "" {
		b.WriteString("\x1b[0m")
	}
	defer b.Reset()
	return b.String()
}

// bare is text without colours.
func bare(text string) string {
	if plain(text) {
		return text
	}
	return cut(text, 0, 1<<30, false)
}

func sgrLength(text string) int {
	if !strings.HasPrefix(text, "\x1b[") {
		return 0
	}
	return strings.IndexByte(text, 'm') + 1
}

// expandTabs walks the line once: it may be all tabs.
func expandTabs(line string) string {
	if !strings.Contains(line, "\t") {
		return line
	}
	var b strings.Builder
	column := 0
	for i, part := range strings.Split(line, "\t") {
		if i > 0 {
			n := 8 - column%8
			b.WriteString(spaces(n))
			column += n
		}
		b.WriteString(part)
		column += width(bare(part))
	}
	return b.String()
}

// counted says how many things there are.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
