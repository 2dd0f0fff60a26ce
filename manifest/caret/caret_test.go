package caret

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWriter(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain\ttext\r\n":                 "plain\ttext\r\n",
		"\x1b[1;31mred\x1b[0m":            "\x1b[1;31mred\x1b[0m",
		"\x1b]0;title\x07":                "^[]0;title^G",
		"\x1b[2J\x1b[H":                   "^[[2J^[[H",
		"\x1b[6n":                         "^[[6n",
		"\u009b31m":                       "M-BM-^[31m",
		"\x9b31m":                         "M-^[31m",
		"µs → ns":                         "µs → ns",
		"\x00\x7f":                        "^@^?",
		"\x1b[" + strings.Repeat("1", 99): "^[[" + strings.Repeat("1", 99),
		"\x1bP1$r\x1b\\":                  "^[P1$r^[\\",
	} {
		if got := safely(t, in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// However the bytes are cut into writes, the screen shows the same.
func TestWriterAnyCut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{"a", "\x1b", "[", "31", "m", ";", "\n", "µ", "\xc2", "\x9b", "\u2028", "K"})).Draw(t, "parts")
		whole := strings.Join(parts, "")
		if a, b := safely(t, whole), safely(t, parts...); a != b {
			t.Fatalf("%q: %q in one write, %q in many", whole, a, b)
		}
	})
}

func safely(t interface{ Fatal(...any) }, parts ...string) string {
	var out bytes.Buffer
	w := New(&out)
	for _, p := range parts {
		if _, err := w.Write([]byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
