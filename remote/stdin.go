package remote

import (
	"io"
	"sync"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// stdin sends a job's input against credit, so that signals never queue behind input that the
// job does not read.
type stdin struct {
	w *api.FrameWriter

	mu     sync.Mutex
	change *sync.Cond
	sent   int64
	acked  int64
	err    error // set: no more input
}

func newStdin(w *api.FrameWriter) *stdin {
	s := &stdin{w: w}
	s.change = sync.NewCond(&s.mu)
	return s
}

// Write sends p, waiting while StdinWindow bytes are unacknowledged.
func (s *stdin) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		off, n, err := s.reserve(len(p) - written)
		if err != nil {
			return written, err
		}
		if err := s.w.Offset(api.FrameStdin, off, p[written:written+n]); err != nil {
			return written, err
		}
		written += n
	}
	return written, nil
}

// reserve waits for credit and takes up to want bytes of it.
func (s *stdin) reserve(want int) (off int64, n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil && s.sent-s.acked >= api.StdinWindow {
		s.change.Wait()
	}
	if s.err != nil {
		return 0, 0, s.err
	}
	off, n = s.sent, min(want, int(api.StdinWindow-(s.sent-s.acked)))
	s.sent += int64(n)
	return off, n, nil
}

// Close tells the job that its input ends here.
func (s *stdin) Close() error {
	s.mu.Lock()
	sent, err := s.sent, s.err
	s.mu.Unlock()
	s.close(io.ErrClosedPipe)
	if err != nil {
		return nil
	}
	return s.w.Offset(api.FrameStdinEnd, sent, nil)
}

func (s *stdin) acknowledge(off int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acked = min(max(s.acked, off), s.sent)
	s.change.Broadcast()
}

func (s *stdin) close(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	s.change.Broadcast()
}
