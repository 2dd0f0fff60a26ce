package term

import (
	"io"
	"sync"
	"time"

	"github.com/cyclops-fpga/cyclops/manifest/caret"
	xterm "golang.org/x/term"
)

// quiet is how long something may take before it is worth a word.
const quiet = time.Second

// refresh is the time between two states of the line.
const refresh = 100 * time.Millisecond

// Status is the line at the bottom of a terminal that says what is being done. It appears
// when that has taken a second, and never on anything but a terminal.
type Status struct {
	out *Output
	on  bool

	mu     sync.Mutex
	text   func() string
	over   func() string // takes the place of text, at once
	since  time.Time
	shown  bool
	held   bool // a question stands on the terminal
	column bool // the job's output left the cursor within a line
	stop   chan struct{}
	done   chan struct{}
}

// NewStatus returns a Status on out. Close it.
func NewStatus(out *Output) *Status {
	s := &Status{out: out, on: out.Terminal(), stop: make(chan struct{}), done: make(chan struct{})}
	if s.on {
		go s.loop()
	} else {
		close(s.done)
	}
	return s
}

// Say replaces what is being done; text is asked again for each state of the line. Nil: nothing.
func (s *Status) Say(text func() string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	s.text, s.since = text, time.Now()
}

// Over puts something urgent in the place of what is being done, at once; nil: that is over.
func (s *Status) Over(text func() string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	s.over = text
}

// Hold keeps the line away, for a question that must stand alone, until it is called with false.
func (s *Status) Hold(held bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	s.held = held
}

// Writer wraps w, which shows on the same terminal, so that the line never mixes with it.
func (s *Status) Writer(w io.Writer) io.Writer {
	if !s.on {
		return w
	}
	return &above{s: s, w: w}
}

// Close removes the line.
func (s *Status) Close() {
	if !s.on {
		return
	}
	close(s.stop)
	<-s.done
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	s.on = false
}

func (s *Status) loop() {
	defer close(s.done)
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case now := <-tick.C:
			s.draw(now)
		}
	}
}

func (s *Status) draw(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := s.line(now)
	if line == "" {
		s.erase()
		return
	}
	if s.column { // only for what is urgent
		io.WriteString(s.out, "\n")
		s.column = false
	}
	width, _, err := xterm.GetSize(int(s.out.File().Fd()))
	if err != nil || width < 2 {
		width = 80
	}
	runes := []rune(line)
	io.WriteString(s.out, "\r\x1b[K"+string(runes[:min(len(runes), width-1)]))
	s.shown = true
}

// line returns what is to be shown now; it wants mu.
func (s *Status) line(now time.Time) string {
	switch {
	case s.held:
		return ""
	case s.over != nil:
		return s.over()
	case s.text == nil || s.column || now.Sub(s.since) < quiet:
		return ""
	}
	return s.text()
}

// erase wants mu.
func (s *Status) erase() {
	if s.shown {
		io.WriteString(s.out, "\r\x1b[K")
		s.shown = false
	}
}

type above struct {
	s *Status
	w io.Writer
}

// Flush passes on what the writer below keeps.
func (a *above) Flush() error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	return caret.Flush(a.w)
}

func (a *above) Write(p []byte) (int, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.s.erase()
	if len(p) > 0 {
		a.s.column = p[len(p)-1] != '\n'
	}
	return a.w.Write(p)
}
