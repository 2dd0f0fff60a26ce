//go:build linux

package joblog

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// opened writes pieces and opens the log of them.
func opened(t testing.TB, pieces ...piece) (*Reader, string) {
	t.Helper()
	data := newData(t)
	write(t, data, pieces...)
	r, err := Open(data, testID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	var text strings.Builder
	for _, p := range pieces {
		text.WriteString(p.text)
	}
	return r, text.String()
}

func TestBackGoesByLinesAndNoFurtherThanItMay(t *testing.T) {
	t.Parallel()
	r, text := opened(t, piece{api.Stdout, "one\ntwo\n"}, piece{api.Stderr, "bad\n"}, piece{api.Stdout, "three\nfour"})
	size := int64(len(text))
	for _, c := range []struct {
		offset int64
		n      int
		stream uint8
		limit  int64
		want   int64
	}{
		{size, 1, 0, 1 << 20, 18}, {size, 2, 0, 1 << 20, 12}, {size, 99, 0, 1 << 20, 0}, {8, 1, 0, 1 << 20, 4}, {6, 1, 0, 1 << 20, 4},
		{size, 3, 0, 2, size - 2}, {size, 1, api.Stderr, 1 << 20, 0}, {12, 1, api.Stderr, 1 << 20, 0}, {8, 1, api.Stderr, 1 << 20, 0},
		{size, 3, api.Stdout, 1 << 20, 4}, {0, 5, 0, 1 << 20, 0},
	} {
		got, err := r.Back(c.offset, size, c.n, c.stream, c.limit)
		if err != nil || got != c.want {
			t.Errorf("%+v: got %d, %v", c, got, err)
		}
	}
}

// Hits lie across the blocks that are read, and are found whichever way the search goes.
func TestFindIsTheSameBothWays(t *testing.T) {
	t.Parallel()
	var pieces []piece
	var want []int64
	at := int64(0)
	for i := range 40 {
		fill := strings.Repeat("h", 70_000+i*977) + "\n"
		hit := fmt.Sprintf("line %d has a Needle\n", i)
		pieces = append(pieces, piece{api.Stdout, fill + hit})
		want = append(want, at+int64(len(fill)))
		at += int64(len(fill) + len(hit))
	}
	r, text := opened(t, pieces...)
	size := int64(len(text))
	for _, c := range []struct {
		text     string
		backward bool
		n        int
	}{{"needle", false, 40}, {"Needle", false, 40}, {"NEEDLE", false, 0}, {"needle", true, 40}, {"Needle", true, 40}} {
		var got []int64
		s := Search{Text: []byte(c.text), Backward: c.backward, Max: 7, Budget: 200_000}
		if c.backward {
			s.From = size
		}
		for done := false; !done; {
			found, err := r.Find(s, size)
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range found.Hits {
				got = append(got, h.Offset)
				if !strings.HasPrefix(h.Line, "line ") || !bytes.EqualFold([]byte(text[h.At:h.At+6]), []byte("needle")) {
					t.Errorf("%+v: a hit of %q at %d", c, h.Line, h.At)
				}
			}
			s.From, done = found.Next, found.Done
		}
		if c.backward {
			for i, j := 0, len(got)-1; i < j; i, j = i+1, j-1 {
				got[i], got[j] = got[j], got[i]
			}
		}
		if len(got) != c.n || c.n > 0 && fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%+v: got %v, want %v", c, got, want)
		}
	}
}

func TestProblemsAreWhatToolsCallThem(t *testing.T) {
	t.Parallel()
	r, text := opened(t, piece{api.Stdout, strings.Join([]string{
		"ERROR: [Synth 8-439] module not found", "0 errors, 0 warnings", "top.v:3: error: syntax", "%Warning-WIDTH: top.v:1:2: width",
		"Warning (10230): truncated", "CRITICAL WARNING: [Timing 38-282] not met", "reading error_log.txt", "Fatal: no licence", "all is well",
		"Error 12 at build.tcl: stop", "errors: none", "make: *** [all] Error 1",
		"\x1b[1m\x1b[31merror\x1b[0m\x1b[1m[E0382]: use of moved value", "\x1b[31mERROR\x1b[m: coloured", "\x1b[33m0\x1b[0m errors",
	}, "\n")})
	found, err := r.Find(Search{Problems: true, Max: 100, Budget: 1 << 20}, int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range found.Hits {
		got = append(got, h.Line[:min(8, len(h.Line))])
	}
	want := []string{"ERROR: [", "top.v:3:", "%Warning", "Warning ", "CRITICAL", "Fatal: n", "Error 12", "make: **", "\x1b[1m\x1b[31", "\x1b[31mERR"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A search on one stream passes over what the other has of it, also within one line.
func TestFindLooksAtOneStream(t *testing.T) {
	t.Parallel()
	r, text := opened(t, piece{api.Stdout, "a needle\nno\n"}, piece{api.Stderr, "needle\nneedle\n"}, piece{api.Stdout, "half a needle "}, piece{api.Stderr, "and a needle\n"}, piece{api.Stdout, "needle\n"})
	for stream, want := range map[uint8][]int64{0: {2, 12, 19, 33, 53}, api.Stdout: {2, 33, 53}, api.Stderr: {12, 19, 46}} {
		for _, backward := range []bool{false, true} {
			s := Search{Text: []byte("needle"), Stream: stream, Backward: backward, Max: 100, Budget: 1 << 20}
			if backward {
				s.From = int64(len(text))
			}
			found, err := r.Find(s, int64(len(text)))
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, h := range found.Hits {
				got = append(got, h.At)
			}
			if backward {
				slices.Reverse(got)
			}
			if !slices.Equal(got, want) {
				t.Errorf("stream %d, backward %v: got %v, want %v", stream, backward, got, want)
			}
		}
	}
}

// A count brings no lines, and goes on behind the hits whose places it tells.
func TestFindCounts(t *testing.T) {
	t.Parallel()
	r, text := opened(t, piece{api.Stdout, strings.Repeat("a needle\n", 50)})
	found, err := r.Find(Search{Text: []byte("needle"), Count: true, Max: 3, Budget: 1 << 20}, int64(len(text)))
	if err != nil || found.Count != 50 || !slices.Equal(found.Places, []int64{2, 11, 20}) || len(found.Hits) != 0 || !found.Done {
		t.Errorf("got %+v, %v", found, err)
	}
}

func BenchmarkFind(b *testing.B) {
	data := newData(b)
	line := piece{api.Stdout, strings.Repeat("INFO: [Route 35-16] Router Completed Successfully for net 42\n", 1000)}
	pieces := make([]piece, 500)
	for i := range pieces {
		pieces[i] = line
	}
	write(b, data, pieces...)
	r, err := Open(data, testID)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	size, _ := r.Size()
	for name, s := range map[string]Search{"text": {Text: []byte("Zebra")}, "folded": {Text: []byte("zebra")}, "problems": {Problems: true}} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			s.Max, s.Budget = 100, size
			for b.Loop() {
				if _, err := r.Find(s, size); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
