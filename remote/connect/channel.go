package connect

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"golang.org/x/crypto/ssh"
)

// channel is one SSH channel. Those of kind session count against the host's MaxSessions.
type channel struct {
	ssh.Channel
	ended chan int      // exit code of what ran on a session; closed without one when it is not told
	gone  chan struct{} // closed when the host has closed it too, or the connection is gone
}

func (c *channel) over() <-chan struct{} { return c.gone }

func (c *channel) Close() error {
	err := c.Channel.Close()
	if errors.Is(err, io.EOF) {
		return nil // the host had closed it before
	}
	return err
}

// requests takes what the host says of a session's end, and calls done when it has closed it.
// sshd tells a signal by name.
func (c *channel) requests(in <-chan *ssh.Request, done func()) {
	defer done()
	defer close(c.gone)
	defer close(c.ended)
	told := false
	for r := range in {
		code, ok := exitStatus(r)
		if ok && !told {
			told = true
			c.ended <- code
		}
		if r.WantReply {
			_ = r.Reply(false, nil)
		}
	}
}

func exitStatus(r *ssh.Request) (int, bool) {
	switch r.Type {
	case "exit-status":
		if len(r.Payload) >= 4 {
			return int(binary.BigEndian.Uint32(r.Payload)), true
		}
	case "exit-signal":
		var s struct {
			Name string
			Core bool
			Text string
			Lang string
		}
		if ssh.Unmarshal(r.Payload, &s) == nil {
			return 128 + signalNumber(s.Name), true
		}
	}
	return 0, false
}

// signalNumber is what Linux calls the signals that SSH names (RFC 4254, 6.10).
func signalNumber(name string) int {
	numbers := map[string]int{
		"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "ABRT": 6, "FPE": 8, "KILL": 9, "USR1": 10, "SEGV": 11,
		"USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15,
	}
	return numbers[name]
}

// sessionWait is how long to wait for one of the sessions that a host allows.
const sessionWait = 10 * time.Second

// openSession opens a session and asks for something to run on it. When the host allows no more
// sessions, the spare one is given up first; wait then says whether to wait a while for another
// to end: for ever could be on a caller's own.
func (s *session) openSession(ctx context.Context, kind, what string, wait bool) (*channel, error) {
	patience := time.NewTimer(sessionWait)
	defer patience.Stop()
	for again := 0; ; {
		freed := s.watchFreed()
		c, err := await(ctx, func() (*channel, error) { return s.rawSession(kind, what) })
		var full *ssh.OpenChannelError
		if !errors.As(err, &full) {
			return c, err
		}
		if s.dropSpareSFTP() {
			continue
		}
		late := lateFree(&again, s.openSessions())
		if !wait || late == nil && s.openSessions() == 0 {
			return nil, err
		}
		select {
		case <-freed:
		case <-late:
		case <-patience.C:
			return nil, err
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.closed:
			return nil, errLinkLost
		}
	}
}

// lateFree says when to try again although no session of ours is open: sshd counts one that it
// has closed for a moment longer, and tells nobody when it stops.
func lateFree(again *int, open int) <-chan time.Time {
	const most = 6
	if open > 0 || *again == most {
		return nil
	}
	*again++
	return time.After(5 * time.Millisecond << *again)
}

// errRefused says that the host opened a session and would not run what was asked for.
var errRefused = errors.New("the host refused the request")

func (s *session) rawSession(kind, what string) (*channel, error) {
	ch, in, err := s.conn.OpenChannel("session", nil)
	if err != nil {
		return nil, err
	}
	s.count(+1)
	c := &channel{Channel: ch, ended: make(chan int, 1), gone: make(chan struct{})}
	ended := s.opened(c)
	go c.requests(in, func() { ended(); s.count(-1) })
	ok, err := ch.SendRequest(kind, true, ssh.Marshal(struct{ What string }{what}))
	if err == nil && !ok {
		err = errRefused
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// openSocket opens a channel to a Unix socket on the host.
func (s *session) openSocket(ctx context.Context, path string) (*channel, error) {
	return await(ctx, func() (*channel, error) {
		payload := ssh.Marshal(struct {
			Path, Reserved string
			Port           uint32
		}{Path: path})
		ch, in, err := s.conn.OpenChannel("direct-streamlocal@openssh.com", payload)
		if err != nil {
			return nil, err
		}
		c := &channel{Channel: ch, gone: make(chan struct{})}
		ended := s.opened(c)
		go func() { defer close(c.gone); defer ended(); ssh.DiscardRequests(in) }()
		go func() { _, _ = io.Copy(io.Discard, ch.Stderr()) }()
		return c, nil
	})
}
