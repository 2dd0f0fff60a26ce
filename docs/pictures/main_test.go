package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	red, plain := style{fg: indexed(1), bold: true}, style{}
	for _, c := range []struct {
		name, in string
		want     [][]run
	}{
		{"plain", "ab\ncd\n", [][]run{{{0, 2, "ab", plain}}, {{0, 2, "cd", plain}}}},
		{"a style ends", "a\x1b[1;31mb\x1b[0mc\n", [][]run{{{0, 1, "a", plain}, {1, 1, "b", red}, {2, 1, "c", plain}}}},
		{"a style lasts over lines", "\x1b[1;31ma\nb\n", [][]run{{{0, 1, "a", red}}, {{0, 1, "b", red}}}},
		{"wide", "日\x1b[1;31mx\n", [][]run{{{0, 2, "日", plain}, {2, 1, "x", red}}}},
		{"256", "\x1b[38;5;196;48;5;244mx\n", [][]run{{{0, 1, "x", style{fg: "#ff0000", bg: "#808080"}}}}},
		{"true colour", "\x1b[38;2;1;2;3mx\n", [][]run{{{0, 1, "x", style{fg: "#010203"}}}}},
		{"true colour with colons", "\x1b[38:2:1:2:3mx\n", [][]run{{{0, 1, "x", style{fg: "#010203"}}}}},
		{"cut short", "\x1b[38;5mx\n", [][]run{{{0, 1, "x", plain}}}},
		{"trailing blank lines", "x\n\n  \n", [][]run{{{0, 1, "x", plain}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := parse(c.in); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestABarReachesTheLastColumn(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int{
		"\x1b[44ma\x1b[1mb\n":      9, // cleared to the end of the line
		"a\x1b[44mb\n":             2, // a mark within a line
		"\x1b[44mab\x1b[0m c\n":    4, // a bar that ends
		"\x1b[7mab\n":              9,
		"\x1b[44mab cdefg ij kl\n": 14, // wider than was said
	} {
		lines := parse(in)
		fillBars(lines, 9)
		last := lines[0][len(lines[0])-1]
		if got := last.column + last.width; got != want {
			t.Errorf("%q: %d columns, want %d", in, got, want)
		}
	}
}

func TestConvertWritesTheSameWellFormedPicture(t *testing.T) {
	t.Parallel()
	screen := "\x1b[7m<job & \"log\">\x1b[0m \x1b[4;2mdone\x1b[0m\n"
	var first, second bytes.Buffer
	for _, w := range []*bytes.Buffer{&first, &second} {
		if err := convert(w, strings.NewReader(screen), 0, "a <title>"); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two pictures of one screen differ")
	}
	var text strings.Builder
	for dec := xml.NewDecoder(&first); ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if chars, ok := token.(xml.CharData); ok {
			text.Write(chars)
		}
	}
	for _, want := range []string{"a <title>", `<job & "log">`, "done"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the picture does not say %q", want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("a\x1b[1;38;5;3mb\x1b[0m\n")
	f.Add("\x1b[\x1b[38;2m\n\x1b")
	f.Fuzz(func(t *testing.T, screen string) {
		for _, line := range parse(screen) {
			for _, r := range line {
				if r.text == "" {
					t.Fatalf("an empty run at column %d", r.column)
				}
			}
		}
	})
}
