package tui

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"
)

// odd are characters whose width depends on who counts: wide ones, those that stand on the one
// before, emoji of several characters, and those that an East Asian locale makes wide.
var odd = []string{"a", " ", "日", "e\u0301", "👨\u200d👩\u200d👧", "👍🏽", "❤\ufe0f", "🇩🇪", "±", "─", "…", "°", "ä"}

func oddText() *rapid.Generator[string] {
	return rapid.Map(rapid.SliceOfN(rapid.SampledFrom(odd), 0, 40), func(all []string) string { return strings.Join(all, "") })
}

// The renderer puts what follows a text where it counts the text's end.
func TestWidthIsTheRenderers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := oddText().Draw(rt, "text")
		if got, want := width(text), ansi.StringWidthWc(text); got != want {
			rt.Errorf("%q: %d cells, the renderer counts %d", text, got, want)
		}
		w := rapid.IntRange(1, 60).Draw(rt, "w")
		if got := ansi.StringWidthWc(fit(text, w)); got != w {
			rt.Errorf("%q fitted to %d takes %d", text, w, got)
		}
	})
}

func TestCutKeepsColumns(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := oddText().Draw(rt, "text")
		from := rapid.IntRange(0, width(text)).Draw(rt, "from")
		if got, want := width(cut(text, from, 1<<20, false)), width(text)-from; got != want {
			rt.Errorf("%q from %d: %d cells, want %d", text, from, got, want)
		}
	})
	if got := cut("日本語", 1, 3, false); got != " 本" {
		t.Errorf("got %q", got)
	}
}

// A wide character that lies across the edge of what is drawn over it must not shift it.
func TestBoxStandsStraightOnWideText(t *testing.T) {
	t.Parallel()
	body := []string{strings.Repeat("日", 30), "x" + strings.Repeat("日", 29), strings.Repeat("a", 60), "", ""}
	column := -1
	for _, line := range box(body, []string{"1", "2"}, 19, 60, 5) {
		before, _, found := strings.Cut(line, "│")
		if !found {
			continue
		}
		if column >= 0 && width(before) != column {
			t.Errorf("%q begins in column %d, not %d", line, width(before), column)
		}
		if column = width(before); width(line) != 60 {
			t.Errorf("%q has %d cells", line, width(line))
		}
	}
}

// Each row begins where the one before ended, in the colours that hold there.
func TestRowsAreTheText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom(append([]string{"\x1b[31m", "\x1b[1m", "\x1b[0m"}, odd...)), 0, 60).Draw(rt, "text")
		text := strings.Join(parts, "")
		w, rest := rapid.IntRange(2, 30).Draw(rt, "w"), rapid.IntRange(2, 30).Draw(rt, "rest")
		all := rows(text, w, rest, true)
		joined := ""
		for i, row := range all {
			if room := []int{w, rest}[min(i, 1)]; width(bare(row)) > room {
				rt.Errorf("row %d of %q takes %d of %d", i, text, width(bare(row)), room)
			}
			joined += bare(row)
		}
		if joined != bare(text) || len(all) != len(rows(text, w, rest, false)) {
			rt.Errorf("%q became %q", text, all)
		}
	})
	if got := strings.Join(rows("\x1b[31mabcd\x1b[0mef", 3, 3, true), "|"); got != "\x1b[31mabc\x1b[0m|\x1b[31md\x1b[0mef" {
		t.Errorf("got %q", got)
	}
}

// BenchmarkWrap wraps a file that is one line of half a megabyte.
func BenchmarkWrap(b *testing.B) {
	line := styled{text: strings.Repeat("\"µ\":12.5,", mostPeek/10)}
	for b.Loop() {
		line.wrap(78)
	}
}

// However words are broken, each line fits, and no more is shown than may be.
func TestWrappedWordsFit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := oddText().Draw(rt, "text")
		w, most := rapid.IntRange(2, 30).Draw(rt, "w"), rapid.IntRange(1, 6).Draw(rt, "most")
		all := wrapUpTo(text, w, most)
		if len(all) > most {
			rt.Errorf("%q: %d lines of %d", text, len(all), most)
		}
		for _, line := range all {
			if width(line) > w {
				rt.Errorf("%q: %q takes more than %d", text, line, w)
			}
		}
	})
}

// What one terminal counts as one character and another as several would shift the rest of its line.
func TestAllTerminalsCountTheSameCells(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"👨‍👩‍👧 family", "👍🏽 tone", "❤️ heart", "1️⃣ key", "🇩🇪 flag", "é ü 日本 ok", "🏳️‍🌈 both"} {
		for _, shown := range []string{clean(text), safeLine([]byte(text))} {
			if wc, clusters := ansi.StringWidthWc(shown), ansi.StringWidth(shown); wc != clusters || wc != width(shown) {
				t.Errorf("%q is %d cells, or %d, or %d", shown, wc, clusters, width(shown))
			}
		}
	}
}
