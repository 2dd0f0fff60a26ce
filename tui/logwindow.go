package tui

import (
	"bytes"
	"sort"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

const (
	// maxLine is the longest piece of a line that is shown as one; a line may be the whole log.
	maxLine = 2 << 10
	// keptLines and keptBytes bound what is in memory of a log, however long it is.
	keptLines = 20_000
	keptBytes = 8 << 20
	// A window that grows at its end is trimmed in steps: line by line, each new one would move all.
	slackLines = keptLines / 10
	slackBytes = keptBytes / 10
)

// logLine is one line of a log, or a piece of a long one.
type logLine struct {
	offset, end int64
	time        int64 // Unix nanoseconds; 0: not known
	stream      uint8
	whole       bool // nothing more comes to it
	text        string
}

// logWindow is a stretch of a log, by lines: what is on the screen and around it.
type logWindow struct {
	lines []logLine
	from  int64 // where it begins in the log
	next  int64 // where it ends
	bytes int
}

// add appends what lies behind the window; it lets go of the beginning when it is too much.
// It returns how many lines went.
func (w *logWindow) add(chunks []api.LogChunk, next int64) (gone int) {
	for _, c := range chunks {
		w.append(c)
	}
	w.next = max(w.next, next)
	if len(w.lines) <= keptLines+slackLines && w.bytes <= keptBytes+slackBytes {
		return 0
	}
	for gone < len(w.lines) && (len(w.lines)-gone > keptLines || w.bytes > keptBytes) {
		w.bytes -= len(w.lines[gone].text)
		gone++
	}
	if gone > 0 {
		w.lines = append(w.lines[:0:0], w.lines[gone:]...)
		if len(w.lines) > 0 {
			w.from = w.lines[0].offset
		}
	}
	return gone
}

func (w *logWindow) append(c api.LogChunk) {
	data, at := c.Data, c.Offset
	if w.next > at { // what is here already
		skip := min(int64(len(data)), w.next-at)
		data, at = data[skip:], at+skip
	}
	for len(data) > 0 {
		n, whole := len(data), false
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			n, whole = i+1, true
		}
		w.piece(logLine{offset: at, end: at + int64(n), time: c.Time, stream: c.Stream, whole: whole, text: strings.TrimSuffix(string(data[:n]), "\n")})
		data, at = data[n:], at+int64(n)
	}
	w.next = max(w.next, at)
}

// piece adds a line, or goes on with the last one; what is too long becomes several.
func (w *logWindow) piece(l logLine) {
	w.bytes += len(l.text)
	if n := len(w.lines); n > 0 {
		if last := &w.lines[n-1]; !last.whole && last.stream == l.stream && last.end == l.offset {
			last.text += l.text
			last.end, last.whole = l.end, l.whole
			l = *last
			w.lines = w.lines[:n-1]
		}
	}
	for len(l.text) > maxLine {
		cut := maxLine
		for cut > maxLine-4 && l.text[cut]&0xc0 == 0x80 { // not in the middle of a character
			cut--
		}
		head := l
		head.text, head.end, head.whole = l.text[:cut], l.offset+int64(cut), true
		w.lines = append(w.lines, head)
		l.text, l.offset = l.text[cut:], head.end
	}
	w.lines = append(w.lines, l)
}

// prepend puts what lies before the window in front of it, and returns how many lines came.
func (w *logWindow) prepend(chunks []api.LogChunk, from int64) (come int) {
	front := logWindow{from: from, next: from}
	for _, c := range chunks {
		front.append(c)
	}
	if n := len(front.lines); n > 0 {
		front.lines[n-1].whole = true
	}
	w.lines = append(front.lines, w.lines...)
	w.from, w.bytes = from, w.bytes+front.bytes
	last := len(w.lines)
	for last > 0 && (last > keptLines || w.bytes > keptBytes) {
		last--
		w.bytes -= len(w.lines[last].text)
	}
	if last < len(w.lines) {
		w.lines = w.lines[:last]
		w.next = w.from
		if last > 0 {
			w.next = w.lines[last-1].end
		}
	}
	return len(front.lines)
}

// at is the index of the line that holds an offset, or of the one before it.
func (w *logWindow) at(offset int64) int {
	i := sort.Search(len(w.lines), func(i int) bool { return w.lines[i].end > offset })
	return max(0, min(i, len(w.lines)-1))
}

// holds tells whether an offset lies in the window.
func (w *logWindow) holds(offset int64) bool {
	return len(w.lines) > 0 && w.lines[0].offset <= offset && offset < w.next
}
