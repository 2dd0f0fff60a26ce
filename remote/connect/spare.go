package connect

import (
	"context"
	"sync"
)

// spare is a channel to the executor that is open before anybody wants it. It is read from at
// once: the executor never speaks first, so anything but silence means that it is of no use.
type spare struct {
	*channel
	first chan read
	once  sync.Once
	rest  []byte
	err   error
}

type read struct {
	data []byte
	err  error
}

func newSpare(c *channel) *spare {
	sp := &spare{channel: c, first: make(chan read, 1)}
	go func() {
		buf := make([]byte, 16<<10)
		n, err := c.Read(buf)
		sp.first <- read{buf[:n], err}
	}()
	return sp
}

// fresh tells whether the channel is still silent and open.
func (sp *spare) fresh() bool { return len(sp.first) == 0 }

func (sp *spare) Read(p []byte) (int, error) {
	sp.once.Do(func() {
		r := <-sp.first
		sp.rest, sp.err = r.data, r.err
	})
	if len(sp.rest) > 0 {
		n := copy(p, sp.rest)
		sp.rest = sp.rest[n:]
		return n, nil
	}
	if sp.err != nil {
		return 0, sp.err
	}
	return sp.channel.Read(p)
}

func (s *session) takeSpare() *spare {
	s.mu.Lock()
	sp := s.spare
	s.spare = nil
	s.mu.Unlock()
	if sp != nil && !sp.fresh() {
		sp.Close()
		return nil
	}
	return sp
}

func (s *session) keepSpare(c *channel) {
	s.mu.Lock()
	old := s.spare
	s.spare = newSpare(c)
	s.mu.Unlock()
	if old != nil {
		old.Close()
	}
}

// refill opens the next spare while the last one is being used.
func (s *session) refill() {
	path := s.socket()
	if path == "" || !s.beginFilling() {
		return
	}
	s.task(func() {
		ctx, cancel := context.WithTimeout(context.Background(), learnTime)
		defer cancel()
		c, err := s.openSocket(ctx, path)
		if err == nil {
			s.keepSpare(c)
		}
		s.mu.Lock()
		s.filling = false
		s.mu.Unlock()
	})
}

func (s *session) beginFilling() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.filling || s.spare != nil || s.ending {
		return false
	}
	s.filling = true
	return true
}
