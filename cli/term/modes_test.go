package term

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestModesAreUndone(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain text\r\n":                  "",
		"\x1b[31mred":                     "\x1b[0m",
		"\x1b[?1049h\x1b[?25l":            "\x1b[?1049l\x1b[?25h\x1b[0m",
		"\x1b[?1049h\x1b[?1049l":          "\x1b[0m",
		"\x1b[?1000;1006h":                "\x1b[?1000l\x1b[?1006l\x1b[0m",
		"\x1b[?1h\x1b=":                   "\x1b>\x1b[?1l\x1b[0m",
		"\x1b[?2004h\x1b[?7l":             "\x1b[?2004l\x1b[?7h\x1b[0m",
		"\x1b[1;20r":                      "\x1b7\x1b[r\x1b8\x1b[0m",
		"\x1b[?47h\x1b[1;20r":             "\x1b[r\x1b[?47l\x1b[0m",
		"\x1b[>4;2m\x1b[2 q":              "\x1b[>4m\x1b[0 q\x1b[0m",
		"\x1b[>1u\x1b[>3u\x1b[<u":         "\x1b[<1u\x1b[0m",
		"\x1b[?1049h\x1b(0\x1bc":          "\x1b[0m",
		"\x1b[?1049h\x1b[?25":             "\x18\x1b[?1049l\x1b[0m",
		"\x1b]0;a title\x07\x1b[?1003h":   "\x1b[?1003l\x1b[0m",
		"\x1b\x1b[?25l":                   "\x1b[?25h\x1b[0m",
		"\x1b[?2\x1b[?25l":                "\x1b[?25h\x1b[0m",
		"\x1b[?25l\x1b[4h\x1b[!p":         "\x1b[0m",
		"\x1b[?9999h\x1b[38;2;1;2;3mtrue": "\x1b[0m",
	} {
		var m Modes
		m.Scan([]byte(in))
		if got := m.Reset(); got != want {
			t.Errorf("%q: undone by %q, want %q", in, got, want)
		}
	}
}

// However the bytes are cut into chunks, the same is undone, and only once.
func TestModesAnyCut(t *testing.T) {
	t.Parallel()
	words := []string{"\x1b", "[", "?", "1049", "25", "2004", ";", "h", "l", "m", "0", "r", "=", ">", "(", "B", "\n", "x", "\x18", "u", "<", " ", "q", "!", "p", "c", strings.Repeat("7", 40)}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom(words)).Draw(t, "parts")
		var whole, cut, undone Modes
		whole.Scan([]byte(strings.Join(parts, "")))
		for _, p := range parts {
			cut.Scan([]byte(p))
		}
		if whole.Reset() != cut.Reset() || whole.Again() != cut.Again() || whole.Alternate() != cut.Alternate() {
			t.Fatalf("%q: %q in one chunk, %q in many", parts, whole.Reset(), cut.Reset())
		}
		undone.Scan([]byte(strings.Join(parts, "") + whole.Reset()))
		if again := undone.Again(); again != "" {
			t.Fatalf("%q: after %q there is still %q", parts, whole.Reset(), again)
		}
	})
}

// What Again switches on, Reset knows to switch off.
func TestModesAgain(t *testing.T) {
	t.Parallel()
	var m, n Modes
	m.Scan([]byte("\x1b[?1049h\x1b[?1006h\x1b[?25l\x1b="))
	n.Scan([]byte(m.Again()))
	if m.Reset() != n.Reset() || !n.Alternate() {
		t.Errorf("%q is undone by %q, what it was made from by %q", m.Again(), n.Reset(), m.Reset())
	}
	if n.Scan([]byte("\x1b[31mtext\x1b[0m")) {
		t.Error("a colour counts as a mode")
	}
	if !n.Scan([]byte("\x1b[?25h")) {
		t.Error("the cursor does not count")
	}
}

func BenchmarkModes(b *testing.B) {
	for name, text := range map[string]string{
		"plain":  strings.Repeat("x", 79) + "\n",
		"colour": "\x1b[32m" + strings.Repeat("x", 70) + "\x1b[0m\n",
		"dense":  "\x1b[1;31mword\x1b[0m ",
	} {
		b.Run(name, func(b *testing.B) {
			chunk := bytes.Repeat([]byte(text), 64<<10/len(text))
			var m Modes
			b.SetBytes(int64(len(chunk)))
			for b.Loop() {
				m.Scan(chunk)
			}
		})
	}
}
