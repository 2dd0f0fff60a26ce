package tui

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// clean makes a host's words one safe line: controls could move the cursor, and characters that
// turn the direction of text could make one command look like another.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError || unicode.Is(unicode.Bidi_Control, r) {
			return '?'
		}
		return r
	}, text)
}

// cut returns the cells of text from column from on, at most width; it keeps colours if colour.
func cut(text string, from, width int, colour bool) string {
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
		r, n := utf8.DecodeRuneInString(text)
		w := runewidth.RuneWidth(r)
		if column+w > from+width {
			break
		}
		if column >= from {
			b.WriteString(text[:n])
		}
		column, text = column+w, text[n:]
	}
	if painted {
		b.WriteString("\x1b[0m")
	}
	return b.String()
}

func sgrLength(text string) int {
	if !strings.HasPrefix(text, "\x1b[") {
		return 0
	}
	return strings.IndexByte(text, 'm') + 1
}

// fit makes plain text exactly width cells wide and marks what it left out.
func fit(text string, width int) string {
	if width <= 0 {
		return ""
	}
	text = clean(text)
	if runewidth.StringWidth(text) > width {
		text = runewidth.Truncate(text, width, "…")
	}
	return text + strings.Repeat(" ", width-runewidth.StringWidth(text))
}

// wrap breaks a message into lines of whole words where they fit.
func wrap(text string, width int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(clean(text)) {
		last := &lines[len(lines)-1]
		if runewidth.StringWidth(*last)+1+runewidth.StringWidth(word) > width {
			lines = append(lines, "")
			last = &lines[len(lines)-1]
		}
		*last += " " + fit(word, min(width-1, runewidth.StringWidth(word)))
	}
	return lines
}

func expandTabs(line string) string {
	if !strings.Contains(line, "\t") {
		return line
	}
	var b strings.Builder
	for i, part := range strings.Split(line, "\t") {
		if i > 0 {
			b.WriteString(strings.Repeat(" ", 8-runewidth.StringWidth(cut(b.String(), 0, 1<<20, false))%8))
		}
		b.WriteString(part)
	}
	return b.String()
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
