package tui

import "strings"

// maxLines and maxLine bound what the screen keeps of a log: its newest lines, long ones split.
const (
	maxLines = 10_000
	maxLine  = 4 << 10
)

// ring keeps the last lines of a log.
type ring struct {
	lines   []string
	first   int // index of the oldest once the ring is full
	dropped int
	open    string // the line that is not ended yet
}

func (r *ring) write(text string) {
	r.open += text
	for {
		i := strings.IndexByte(r.open, '\n')
		if i < 0 {
			break
		}
		r.add(r.open[:i])
		r.open = r.open[i+1:]
	}
	for len(r.open) > maxLine {
		r.add(r.open[:maxLine])
		r.open = r.open[maxLine:]
	}
}

// add ends a line. Of a line that a progress display wrote over, only what stood last is kept.
func (r *ring) add(line string) {
	line = strings.TrimSuffix(line, "\r")
	line = line[strings.LastIndexByte(line, '\r')+1:]
	for len(line) > maxLine {
		r.push(line[:maxLine])
		line = line[maxLine:]
	}
	r.push(line)
}

// push copies the line: a part of a chunk would keep the whole chunk in memory.
func (r *ring) push(line string) {
	line = strings.Clone(strings.ToValidUTF8(line, "?"))
	if len(r.lines) < maxLines {
		r.lines = append(r.lines, line)
		return
	}
	r.lines[r.first] = line
	r.first = (r.first + 1) % maxLines
	r.dropped++
}

func (r *ring) len() int {
	if r.open != "" {
		return len(r.lines) + 1
	}
	return len(r.lines)
}

func (r *ring) line(i int) string {
	if i == len(r.lines) {
		open := strings.TrimSuffix(r.open, "\r")
		return strings.ToValidUTF8(open[strings.LastIndexByte(open, '\r')+1:], "?")
	}
	return r.lines[(r.first+i)%len(r.lines)]
}
