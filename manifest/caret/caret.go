// Package caret makes bytes that could steer a terminal safe to show: it writes them in caret notation.
package caret

import (
	"bytes"
	"io"
	"unicode/utf8"
)

// Writer lets newline, tab, carriage return and colours through and writes every other
// control character in caret notation: a log could otherwise retitle the window, move the
// cursor over what was said, or answer for the user.
type Writer struct {
	w       io.Writer
	pending []byte // the beginning of an escape sequence or of a UTF-8 character
	out     bytes.Buffer
}

// New returns a Writer on w.
func New(w io.Writer) *Writer { return &Writer{w: w} }

// maxEscape is the longest colour sequence; what is longer is none.
const maxEscape = 64

// Write filters p. A sequence that p breaks off is kept for the next Write.
func (s *Writer) Write(p []byte) (int, error) {
	data := p
	if len(s.pending) > 0 {
		data = append(s.pending, p...)
	}
	s.out.Reset()
	rest := s.filter(data)
	s.pending = append([]byte(nil), rest...)
	if _, err := s.w.Write(s.out.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes what was kept for a Write that did not come.
func (s *Writer) Flush() error {
	s.out.Reset()
	for _, c := range s.pending {
		s.caret(c)
	}
	s.pending = nil
	_, err := s.w.Write(s.out.Bytes())
	return err
}

// Flush has w write what it keeps, if it is a writer that keeps anything.
func Flush(w io.Writer) error {
	if f, ok := w.(interface{ Flush() error }); ok {
		return f.Flush()
	}
	return nil
}

// filter writes data to out and returns the tail that is not complete yet.
func (s *Writer) filter(data []byte) []byte {
	for len(data) > 0 {
		c := data[0]
		switch {
		case c == 0x1b:
			n, complete := colourLength(data)
			if !complete {
				return data
			}
			if n == 0 {
				s.caret(c)
				n = 1
			} else {
				s.out.Write(data[:n])
			}
			data = data[n:]
		case c < 0x80:
			s.ascii(c)
			data = data[1:]
		default:
			if !utf8.FullRune(data) {
				return data
			}
			data = data[s.character(data):]
		}
	}
	return nil
}

func (s *Writer) ascii(c byte) {
	if c >= 0x20 && c != 0x7f || c == '\n' || c == '\t' || c == '\r' {
		s.out.WriteByte(c)
		return
	}
	s.caret(c)
}

// character writes one UTF-8 character. C1 controls are as dangerous as ESC; bytes that are no
// UTF-8 could be C1 controls to a terminal in an 8-bit mode.
func (s *Writer) character(data []byte) int {
	r, n := utf8.DecodeRune(data)
	if r == utf8.RuneError && n == 1 || r < 0xa0 {
		for _, c := range data[:n] {
			s.caret(c)
		}
		return n
	}
	s.out.Write(data[:n])
	return n
}

// caret writes one byte as cat -v does.
func (s *Writer) caret(c byte) {
	if c >= 0x80 {
		s.out.WriteString("M-")
		c -= 0x80
	}
	switch {
	case c < 0x20:
		s.out.Write([]byte{'^', c + '@'})
	case c == 0x7f:
		s.out.WriteString("^?")
	default:
		s.out.WriteByte(c)
	}
}

// colourLength returns the length of the SGR sequence (ESC [ digits ; : m) that data begins
// with, 0 if it begins with anything else, and whether there is enough of it to tell.
func colourLength(data []byte) (n int, complete bool) {
	if len(data) == 1 {
		return 0, false
	}
	if data[1] != '[' {
		return 0, true
	}
	for i := 2; i < len(data) && i < maxEscape; i++ {
		switch c := data[i]; {
		case c == 'm':
			return i + 1, true
		case c >= '0' && c <= '9' || c == ';' || c == ':':
		default:
			return 0, true
		}
	}
	return 0, len(data) >= maxEscape
}
