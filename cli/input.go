package cli

import (
	"errors"
	"io"

	"github.com/cyclops-fpga/cyclops/cli/term"
)

// typedAhead is how many reads of the keyboard wait for a host that does not take them, so that
// the keys which leave the job are still seen.
const typedAhead = 1024

// errDetached is the cause of a context that the detach keys ended.
var errDetached = errors.New("detached")

// sendInput begins to carry this process's input to the job.
func (s *screen) sendInput() {
	if s.input == "" {
		return
	}
	in, err := term.NewInput(s.app.In)
	if err != nil {
		s.warn("no input: " + err.Error())
		return
	}
	s.mu.Lock()
	s.stdin = in
	s.mu.Unlock()
	if s.raw {
		go s.sendKeys(in)
	} else {
		go s.copyInput(in)
	}
}

// stopInput leaves what is typed from now on to whoever reads next.
func (s *screen) stopInput() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stdin != nil {
		s.stdin.Stop()
		s.stdin = nil
	}
}

// copyInput ends when the input does, which ends the job's; not when it is only stopped, nor when
// the terminal hung up.
func (s *screen) copyInput(in *term.Input) {
	defer in.Close()
	onTerminal := term.IsTerminal(s.app.In)
	stdin := s.attachment.Stdin()
	_, _ = io.Copy(stdin, in)
	if in.Stopped() || onTerminal && !term.Alive(s.app.In) {
		return
	}
	_ = stdin.Close()
}

// sendKeys carries what is typed and watches for the keys that detach. A terminal's input has no
// end: one that reads as ended hung up.
func (s *screen) sendKeys(in *term.Input) {
	defer in.Close()
	typed := make(chan []byte, typedAhead)
	defer close(typed)
	go s.passKeys(typed)
	buf := make([]byte, 4096)
	for {
		n, err := in.Read(buf)
		if n > 0 {
			pass, found := s.keys.Find(buf[:n])
			if len(pass) > 0 {
				typed <- append([]byte(nil), pass...)
			}
			if found {
				s.signals.end(errDetached)
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// passKeys waits for the host where sendKeys must not.
func (s *screen) passKeys(typed <-chan []byte) {
	stdin := s.attachment.Stdin()
	for keys := range typed {
		_, _ = stdin.Write(keys) // what the job no longer takes, as behind its end, is nobody's
	}
}

// yield gives the terminal to a question, as when a broken line wants its password again.
func (s *screen) yield() (back func()) {
	if s == nil {
		return func() {}
	}
	s.mu.Lock()
	in := s.stdin
	s.mu.Unlock()
	if in == nil {
		return func() {}
	}
	release := in.Hold()
	if !s.window.isRaw() {
		return release
	}
	modes := s.window.state()
	s.window.leave(true)
	return func() {
		_ = s.window.enter()
		s.window.again(modes)
		s.window.redraw()
		release()
	}
}
