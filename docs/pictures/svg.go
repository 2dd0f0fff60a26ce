package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Sizes in pixels. Every run of text is stretched to its cells, so that columns line up in any font.
const (
	cellWidth  = 8.4
	lineHeight = 19
	margin     = 18
	bar        = 30
	background = "#1d2021"
	foreground = "#dcd8cc"
)

func draw(w io.Writer, lines [][]run, columns int, title string) error {
	width, height := extent(lines, columns)
	out := bufio.NewWriter(w)
	begin(out, width, height, title)
	for i, line := range lines {
		for _, r := range line {
			drawRun(out, r, i)
		}
	}
	fmt.Fprintln(out, "</g>\n</svg>")
	return out.Flush()
}

// begin draws all but what is on the screen.
func begin(out io.Writer, width float64, height int, title string) {
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" width="%.0f" height="%d" role="img">`+"\n", width, height, width, height)
	fmt.Fprintf(out, "<title>%s</title>\n", escape(title))
	fmt.Fprintf(out, `<rect width="%.0f" height="%d" rx="8" fill="%s"/>`+"\n", width, height, background)
	fmt.Fprintf(out, `<text x="%.1f" y="20" fill="#8c887c" font-family="sans-serif" font-size="13" text-anchor="middle">%s</text>`+"\n", width/2, escape(title))
	fmt.Fprintln(out, `<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" xml:space="preserve">`)
}

func extent(lines [][]run, columns int) (width float64, height int) {
	columns = max(columns, 40)
	for _, line := range lines {
		for _, r := range line {
			columns = max(columns, r.column+r.width)
		}
	}
	return 2*margin + float64(columns)*cellWidth, bar + len(lines)*lineHeight + margin
}

func drawRun(w io.Writer, r run, line int) {
	x := margin + float64(r.column)*cellWidth
	y := bar + line*lineHeight
	width := float64(r.width) * cellWidth
	fg, bg := r.style.colours()
	if bg != "" {
		fmt.Fprintf(w, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", x, y, width, lineHeight, bg)
	}
	if strings.TrimSpace(r.text) == "" {
		return
	}
	fmt.Fprintf(w, `<text x="%.1f" y="%d" textLength="%.1f" fill="%s"%s>%s</text>`+"\n",
		x, y+14, width, fg, r.style.attributes(), escape(r.text))
}

func (s style) colours() (fg, bg string) {
	fg, bg = s.fg, s.bg
	if fg == "" {
		fg = foreground
	}
	if s.inverted {
		if bg == "" {
			bg = background
		}
		return bg, fg
	}
	return fg, bg
}

func (s style) attributes() string {
	var b strings.Builder
	for _, a := range []struct {
		on   bool
		text string
	}{
		{s.bold, ` font-weight="bold"`},
		{s.faint, ` opacity="0.6"`},
		{s.italic, ` font-style="italic"`},
		{s.under, ` text-decoration="underline"`},
	} {
		if a.on {
			b.WriteString(a.text)
		}
	}
	return b.String()
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}
