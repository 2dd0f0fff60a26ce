//go:build linux

package joblog

import (
	"bytes"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// Search says what to look for in a log.
type Search struct {
	Text     []byte // bytes; letters of ASCII that are all small stand for large ones too
	Problems bool   // lines that tell of an error or a warning, instead of Text
	From     int64
	Backward bool
	Stream   uint8 // only hits on it; 0: on any
	Count    bool  // count the hits, and say of the first Max only where they are
	Max      int   // hits
	Budget   int64 // bytes to look at
}

const (
	findBlock = 1 << 20
	// maxText bounds what is looked for, so that what lies across two blocks is found in their overlap.
	maxText = 1 << 10
	// hitLine is how much of a line a hit brings.
	hitLine = 400
)

// Find returns the lines of the log of size bytes that s is about, at most one hit for each, in the
// order of the search, and how far it looked.
func (r *Reader) Find(s Search, size int64) (api.LogFound, error) {
	out := api.LogFound{Hits: []api.LogHit{}, Size: size}
	m := newMatcher(s)
	var err error
	if s.Backward {
		err = r.findBack(s, m, &out)
	} else {
		err = r.findOn(s, m, &out)
	}
	return out, err
}

// findOn looks at block after block; each goes on past its end by as much as a hit may be long.
func (r *Reader) findOn(s Search, m *matcher, out *api.LogFound) error {
	at := max(0, s.From)
	buf := make([]byte, findBlock+maxText)
	for looked := int64(0); at < out.Size && looked < s.Budget; {
		block := min(findBlock, out.Size-at)
		b := buf[:min(block+maxText, out.Size-at)]
		if n, err := r.log.ReadAt(b, at); n < len(b) {
			return noEOF(err)
		}
		for from := 0; from < int(block); {
			k, err := r.nextOn(s.Stream, m, b, from, int(block), at, out.Size)
			if err != nil {
				return err
			}
			if k < 0 {
				break
			}
			full, err := r.found(s, at+int64(k), out)
			if err != nil {
				return err
			}
			if from = lineEnd(b, k); full {
				out.Next = at + int64(from)
				out.Done = out.Next >= out.Size
				return nil
			}
		}
		at += block
		looked += block
	}
	out.Next, out.Done = min(at, out.Size), at >= out.Size
	return nil
}

// findBack looks for hits that begin before From, from there to the log's beginning.
func (r *Reader) findBack(s Search, m *matcher, out *api.LogFound) error {
	to := min(s.From, out.Size)
	buf := make([]byte, findBlock+maxText)
	for looked := int64(0); to > 0 && looked < s.Budget; {
		from := max(0, to-findBlock)
		b := buf[:min(to-from+maxText, out.Size-from)]
		if n, err := r.log.ReadAt(b, from); n < len(b) {
			return noEOF(err)
		}
		all, err := r.allOn(s.Stream, m, b, int(to-from), from, out.Size)
		if err != nil {
			return err
		}
		for i := len(all) - 1; i >= 0; i-- {
			full, err := r.found(s, from+int64(all[i]), out)
			if err != nil {
				return err
			}
			if full {
				out.Next = out.Hits[len(out.Hits)-1].Offset
				out.Done = out.Next == 0
				return nil
			}
		}
		looked += to - from
		to = from
	}
	out.Next, out.Done = to, to == 0
	return nil
}

// nextOn returns the index in b, which begins at base, of the first hit at or behind from on stream
// that begins before limit; -1: there is none.
func (r *Reader) nextOn(stream uint8, m *matcher, b []byte, from, limit int, base, size int64) (int, error) {
	for from < limit {
		k := m.next(b[from:])
		if k < 0 || from+k >= limit {
			break
		}
		k += from
		if stream == 0 {
			return k, nil
		}
		_, rec, err := r.covering(base+int64(k), size)
		if err != nil {
			return -1, noEOF(err)
		}
		if rec.stream == stream || rec.stream == api.StreamUnknown {
			return k, nil
		}
		from = int(min(max(rec.end()-base, int64(k)+1), int64(len(b))))
	}
	return -1, nil
}

// allOn returns the first hit on stream of each line of b that begins before limit.
func (r *Reader) allOn(stream uint8, m *matcher, b []byte, limit int, base, size int64) (all []int, err error) {
	for from := 0; from < limit; {
		k, err := r.nextOn(stream, m, b, from, limit, base, size)
		if err != nil || k < 0 {
			return all, err
		}
		all = append(all, k)
		from = lineEnd(b, k)
	}
	return all, nil
}

// found adds the hit at an offset; full means that there are as many as were asked for.
func (r *Reader) found(s Search, at int64, out *api.LogFound) (full bool, err error) {
	if s.Count {
		if out.Count++; len(out.Places) < s.Max {
			out.Places = append(out.Places, at)
		}
		return false, nil
	}
	hit, err := r.hit(at, out.Size)
	out.Hits = append(out.Hits, hit)
	return len(out.Hits) >= s.Max, err
}

// hit describes what was found at an offset.
func (r *Reader) hit(at, size int64) (api.LogHit, error) {
	start, err := r.lineStart(at)
	if err != nil {
		return api.LogHit{}, err
	}
	line := make([]byte, min(hitLine, size-start))
	if n, err := r.log.ReadAt(line, start); n < len(line) {
		return api.LogHit{}, noEOF(err)
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	return api.LogHit{Offset: start, At: at, Line: string(bytes.ToValidUTF8(line, []byte("?")))}, nil
}

func lineEnd(b []byte, from int) int {
	if k := bytes.IndexByte(b[from:], '\n'); k >= 0 {
		return from + k + 1
	}
	return len(b)
}

// matcher finds one thing in bytes.
type matcher struct {
	text     []byte
	fold     bool
	problems bool
	folded   []byte // room
}

func newMatcher(s Search) *matcher {
	m := &matcher{text: s.Text, problems: s.Problems}
	m.fold = !s.Problems && bytes.Equal(bytes.ToLower(s.Text), s.Text)
	return m
}

// next returns the index of the first hit in b, or -1.
func (m *matcher) next(b []byte) int {
	switch {
	case m.problems:
		return nextProblem(b)
	case !m.fold:
		return bytes.Index(b, m.text)
	}
	return m.folding(b)
}

// folding looks in pieces that grow: a hit near the beginning must not cost the folding of the whole
// block, nor one in every line the folding of a hundred lines each.
func (m *matcher) folding(b []byte) int {
	for from, piece := 0, 256; from < len(b); from, piece = from+piece, min(2*piece, 16<<10) {
		end := min(len(b), from+piece+len(m.text)-1)
		m.folded = lower(m.folded[:0], b[from:end])
		if k := bytes.Index(m.folded, m.text); k >= 0 {
			return from + k
		}
	}
	return -1
}

func lower(to, b []byte) []byte {
	for _, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		to = append(to, c)
	}
	return to
}

// problemWords begin behind their first letter, which may be large.
var problemWords = []struct {
	rest  string
	first byte
}{{"rror", 'e'}, {"RROR", 'e'}, {"arning", 'w'}, {"ARNING", 'w'}, {"atal", 'f'}, {"ATAL", 'f'}}

// nextProblem returns where the first line begins to tell of an error or a warning: the word is
// followed by what tools put behind it, so that "0 errors" and file names do not count.
func nextProblem(b []byte) int {
	best := -1
	for _, w := range problemWords {
		for from := 1; from < len(b); {
			end := len(b)
			if best >= 0 {
				end = min(end, best+len(w.rest)+1)
			}
			if from >= end {
				break
			}
			k := bytes.Index(b[from:end], []byte(w.rest))
			if k < 0 {
				break
			}
			at := from + k - 1
			if b[at]|0x20 == w.first && tells(b, at, from+k+len(w.rest)) {
				best = at
				break
			}
			from += k + len(w.rest)
		}
	}
	return best
}

// tells judges the word b[at:end] by its neighbours.
func tells(b []byte, at, end int) bool {
	if at > 0 && (letter(b[at-1]) || b[at-1] == '_' || b[at-1] == '-' || b[at-1] == '/') {
		return false
	}
	if end >= len(b) {
		return false
	}
	switch b[end] {
	case ':', '(', '[', '\t', '-':
		return true
	case ' ':
		return numbered(b[end+1:])
	}
	return false
}

// numbered tells "Error 12" and "error at x:" from words in a sentence.
func numbered(b []byte) bool {
	if len(b) > 0 && '0' <= b[0] && b[0] <= '9' {
		return true
	}
	b = b[:min(len(b), 40)]
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return bytes.IndexByte(line, ':') >= 0
}

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
