package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mattn/go-runewidth"
)

// style is how a piece of text looks. The empty colour is the terminal's own.
type style struct {
	fg, bg                               string
	bold, faint, italic, under, inverted bool
}

// run is text of one style at a column of its line.
type run struct {
	column, width int
	text          string
	style         style
}

// parse reads lines of text with SGR sequences, the only ones that tmux writes. A style lasts
// until it is changed, across lines.
func parse(screen string) [][]run {
	var lines [][]run
	var s style
	for line := range strings.Lines(screen) {
		lines = append(lines, parseLine(strings.TrimSuffix(line, "\n"), &s))
	}
	for len(lines) > 0 && blank(lines[len(lines)-1]) {
		lines = lines[:len(lines)-1]
	}
	return lines
}

func parseLine(line string, s *style) []run {
	var runs []run
	column := 0
	for line != "" {
		if codes, rest, ok := sgr(line); ok {
			s.apply(codes)
			line = rest
			continue
		}
		end := strings.Index(line[1:], "\x1b[") + 1
		if end == 0 {
			end = len(line)
		}
		text := line[:end]
		width := runewidth.StringWidth(text)
		runs = append(runs, run{column, width, text, *s})
		column += width
		line = line[end:]
	}
	return runs
}

// fillBars draws each bar of the screen, a line that begins and ends on the same background, up to
// the last column: tmux before 3.4 leaves out the cells that a program cleared instead of writing.
func fillBars(lines [][]run, columns int) {
	for i, line := range lines {
		if len(line) == 0 {
			continue
		}
		first, last := line[0], line[len(line)-1]
		end := last.column + last.width
		if _, bg := first.style.colours(); bg != "" && first.style.bg == last.style.bg && first.style.inverted == last.style.inverted && end < columns {
			lines[i] = append(line, run{end, columns - end, strings.Repeat(" ", columns-end), last.style})
		}
	}
}

// sgr takes one sequence "ESC [ … m" off the front of s.
func sgr(s string) (codes []int, rest string, ok bool) {
	body, found := strings.CutPrefix(s, "\x1b[")
	end := strings.IndexByte(body, 'm')
	if !found || end < 0 {
		return nil, s, false
	}
	for code := range strings.SplitSeq(strings.ReplaceAll(body[:end], ":", ";"), ";") {
		n, err := strconv.Atoi(code)
		if err != nil {
			n = 0
		}
		codes = append(codes, n)
	}
	return codes, body[end+1:], true
}

func (s *style) apply(codes []int) {
	for len(codes) > 0 {
		c := codes[0]
		codes = codes[1:]
		switch c {
		case 0:
			*s = style{}
		case 1:
			s.bold = true
		case 2:
			s.faint = true
		case 3:
			s.italic = true
		case 4:
			s.under = true
		case 7:
			s.inverted = true
		case 22:
			s.bold, s.faint = false, false
		case 23:
			s.italic = false
		case 24:
			s.under = false
		case 27:
			s.inverted = false
		case 38:
			s.fg, codes = extended(codes)
		case 48:
			s.bg, codes = extended(codes)
		case 39:
			s.fg = ""
		case 49:
			s.bg = ""
		default:
			s.basic(c)
		}
	}
}

func (s *style) basic(c int) {
	switch {
	case 30 <= c && c <= 37:
		s.fg = indexed(c - 30)
	case 40 <= c && c <= 47:
		s.bg = indexed(c - 40)
	case 90 <= c && c <= 97:
		s.fg = indexed(c - 90 + 8)
	case 100 <= c && c <= 107:
		s.bg = indexed(c - 100 + 8)
	}
}

// extended reads what follows 38 or 48: 5 and an index, or 2 and red, green, blue.
func extended(codes []int) (colour string, rest []int) {
	switch {
	case len(codes) >= 2 && codes[0] == 5:
		return indexed(codes[1]), codes[2:]
	case len(codes) >= 4 && codes[0] == 2:
		return rgb(codes[1], codes[2], codes[3]), codes[4:]
	}
	return "", nil
}

// indexed is a colour of the 256: 16 named ones, a cube of 6 levels, 24 greys.
func indexed(n int) string {
	palette := [16]string{
		"#1d2021", "#cc5a52", "#7fa650", "#d0a040", "#5b8cc0", "#a878b0", "#5aa5a0", "#c8c4b8",
		"#7c7870", "#e8807a", "#a4c878", "#e8c468", "#84b0e0", "#c8a0d0", "#84c8c0", "#f4f0e4",
	}
	switch {
	case n < 0 || n > 255:
		return ""
	case n < 16:
		return palette[n]
	case n < 232:
		level := func(v int) int { return [6]int{0, 95, 135, 175, 215, 255}[v%6] }
		n -= 16
		return rgb(level(n/36), level(n/6), level(n))
	}
	grey := 8 + 10*(n-232)
	return rgb(grey, grey, grey)
}

func rgb(r, g, b int) string { return fmt.Sprintf("#%02x%02x%02x", r&255, g&255, b&255) }

func blank(line []run) bool {
	for _, r := range line {
		if strings.TrimSpace(r.text) != "" {
			return false
		}
	}
	return true
}
