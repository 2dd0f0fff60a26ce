package term

import (
	"io"
	"strings"
	"unicode/utf8"
)

// Table lays text out in columns. Cells may be coloured after they were measured.
type Table struct {
	header []string
	rows   [][]cell
}

type cell struct {
	text   string
	colour Colour
}

// NewTable returns a Table with these column heads.
func NewTable(header ...string) *Table { return &Table{header: header} }

// Row adds a row; Cell colours one of its cells.
func (t *Table) Row(texts ...string) {
	row := make([]cell, len(texts))
	for i, text := range texts {
		row[i].text = Clean(text)
	}
	t.rows = append(t.rows, row)
}

// Colour colours column i of the last row.
func (t *Table) Colour(i int, c Colour) { t.rows[len(t.rows)-1][i].colour = c }

// Write prints the table, coloured if colour.
func (t *Table) Write(w io.Writer, colour bool) error {
	width := make([]int, len(t.header))
	for i, h := range t.header {
		width[i] = utf8.RuneCountInString(h)
	}
	for _, row := range t.rows {
		for i, c := range row {
			width[i] = max(width[i], utf8.RuneCountInString(c.text))
		}
	}
	var b strings.Builder
	head := make([]cell, len(t.header))
	for i, h := range t.header {
		head[i] = cell{h, Dim}
	}
	writeRow(&b, head, width, colour)
	for _, row := range t.rows {
		writeRow(&b, row, width, colour)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeRow(b *strings.Builder, row []cell, width []int, colour bool) {
	for i, c := range row {
		b.WriteString(Paint(colour && c.colour != "", c.colour, c.text))
		if i < len(row)-1 {
			b.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(c.text)+2))
		}
	}
	b.WriteByte('\n')
}

// Clean makes one line of text from a host safe to show.
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == utf8.RuneError {
			return '?'
		}
		return r
	}, text)
}
