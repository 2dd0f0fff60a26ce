package remote

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// Handler is told what happens to a job. Nil functions are not told. Calls come one at a
// time, in the order of events; an error ends the session.
type Handler struct {
	State    func(api.JobInfo)
	Result   func(api.Result) error // before the artifacts that are pushed behind it
	Log      func(api.LogChunk) error
	Artifact func(name string, size int64, r io.Reader) error
	Taken    func() // another client has the job's input now; at most once
}

// Session is one exchange that a job was accepted on and that can follow it: Attach does.
type Session struct {
	Accepted api.Accepted // zero unless the session submitted the job

	client *Client
	job    string // its id
	conn   *pulse
	r      *bufio.Reader
	w      *api.FrameWriter
	buf    []byte
	voice  *voice
	fresh  bool // the host has the voice's input from its begin
	acked  int64
}

// follow opens a session on a job that was submitted before.
func (c *Client) follow(ctx context.Context, f api.Follow, v *voice, limit time.Duration) (*Session, error) {
	s, err := c.stream(ctx)
	if err != nil {
		return nil, err
	}
	s.job, s.voice, s.conn.limit = f.Job, v, limit
	stop := context.AfterFunc(ctx, func() { s.conn.Close() })
	defer stop()
	if err := errors.Join(s.w.JSON(api.FrameFollow, f), s.upgrade()); err != nil {
		s.conn.Close()
		// The executor took the exchange: one that ends now is being replaced, and comes back.
		return nil, s.failure(ctx, err)
	}
	return s, nil
}

// stream opens an exchange and asks for the upgrade without waiting for the answer, so that
// the first frames ride in the same round trip.
func (c *Client) stream(ctx context.Context) (*Session, error) {
	conn, err := c.exchanger.Exchange(ctx)
	if err != nil {
		return nil, contactError(err)
	}
	s := &Session{client: c, buf: make([]byte, api.MaxFrame)}
	s.conn = newPulse(conn, func() error { return s.w.Write(api.FramePing) })
	s.r = bufio.NewReaderSize(s.conn, 256<<10)
	s.w = api.NewFrameWriter(&prefixWriter{w: conn, prefix: []byte(upgradeRequest(api.PathStream, api.UpgradeProtocol))})
	return s, nil
}

// prefixWriter sends prefix in one write with what is written first.
type prefixWriter struct {
	w      io.Writer
	prefix []byte
}

func (p *prefixWriter) Write(data []byte) (int, error) {
	if p.prefix == nil {
		return p.w.Write(data)
	}
	n, err := p.w.Write(append(p.prefix, data...))
	n = max(0, n-len(p.prefix))
	p.prefix = nil
	return n, err
}

// upgrade reads the answer to the request for an upgrade.
func (s *Session) upgrade() error { return readUpgrade(s.r, "a stream") }

// run tells h what happens until the job has ended and its result is here, or, after a Follow
// with Once, until the log's end. A nil Result without an error means that there is none yet.
// Cancelling ctx ends the session; the job goes on. The session is closed when it returns.
func (s *Session) run(ctx context.Context, h Handler) (*api.Result, error) {
	stop := context.AfterFunc(ctx, func() { s.conn.Close() })
	defer stop()
	defer s.voice.speak(s.w, s.fresh)()
	defer s.conn.Close() // before the voice is waited for, which may be in the middle of a word
	var result *api.Result
	for {
		f, err := s.next(failpoint.ClientFrame)
		if err == nil && f.Type == api.FrameEnd {
			return result, nil
		}
		if err == nil {
			err = s.handle(ctx, f, h, &result)
		}
		if err != nil {
			return result, s.failure(ctx, err)
		}
	}
}

// next reads one frame.
func (s *Session) next(p failpoint.Point) (api.Frame, error) {
	if err := failpoint.At(p); err != nil {
		return api.Frame{}, err
	}
	return api.ReadFrame(s.r, s.buf)
}

// failure tells a line that broke from everything else that can end a session.
func (s *Session) failure(ctx context.Context, err error) error {
	var e *api.Error
	var ours *handlerError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &ours):
		return ours.error
	case errors.As(err, &e):
		return e
	}
	// All else is of the connection: what it carries has errors of its own.
	return lostContact(s.job, err)
}

// lostContact is what ends the following of a job for good; err may be one already.
func lostContact(job string, err error) error {
	var e *api.Error
	if errors.As(err, &e) && e.Kind == api.LostContact && errors.Unwrap(e) != nil {
		err = errors.Unwrap(e)
	}
	if job == "" {
		return api.Errorf(api.LostContact, "", "lost contact with the host: %w", err)
	}
	return api.Errorf(api.LostContact, "the job goes on; cyclops attach "+job+" goes on with it", "lost contact with the host: %w", err)
}

// handlerError is a failure on this side, which must not pass for a broken line.
type handlerError struct{ error }

func (s *Session) handle(ctx context.Context, f api.Frame, h Handler, result **api.Result) error {
	switch f.Type {
	case api.FrameState:
		return s.handleState(f, h)
	case api.FrameLog:
		return s.handleLog(f, h)
	case api.FrameStdinAck:
		off, _, err := f.Offset()
		s.voice.acknowledge(off)
		return err
	case api.FrameStdinOwner:
		return s.handleOwner(f, h)
	case api.FrameStdinClosed:
		s.voice.shut()
	case api.FramePing:
		return s.w.Write(api.FramePong, f.Payload)
	case api.FramePong:
		s.voice.answered(f.Payload)
	case api.FrameResult:
		return s.handleResult(ctx, f, h, result)
	case api.FrameArtifactStart:
		return s.handleArtifact(f, h)
	case api.FrameError:
		return remoteError(f)
	}
	return nil
}

func (s *Session) handleState(f api.Frame, h Handler) error {
	var info api.JobInfo
	if err := f.JSON(&info); err != nil || h.State == nil {
		return err
	}
	h.State(info)
	return nil
}

func (s *Session) handleOwner(f api.Frame, h Handler) error {
	var owner api.StdinOwner
	if err := f.JSON(&owner); err != nil {
		return err
	}
	if s.voice.owned(owner) && h.Taken != nil {
		h.Taken()
	}
	return nil
}

// handleResult asks for a manifest that is too large for a frame.
func (s *Session) handleResult(ctx context.Context, f api.Frame, h Handler, result **api.Result) error {
	r := new(api.Result)
	err := f.JSON(r)
	if err == nil && (len(r.Manifest) == 0 || string(r.Manifest) == "null") {
		r.Manifest, err = s.client.Manifest(ctx, s.job)
	}
	if err != nil {
		return err
	}
	*result = r
	if h.Result == nil {
		return nil
	}
	if err := h.Result(*r); err != nil {
		return &handlerError{err}
	}
	return nil
}

// ackEvery is how many bytes of log may go unacknowledged while more is already here.
const ackEvery = 64 << 10

func (s *Session) handleLog(f api.Frame, h Handler) error {
	chunk, err := f.Log()
	if err != nil {
		return err
	}
	if h.Log != nil {
		if err := h.Log(chunk); err != nil {
			return &handlerError{err}
		}
	}
	end := chunk.Offset + int64(len(chunk.Data))
	if end-s.acked < ackEvery && s.r.Buffered() > 0 {
		return nil
	}
	s.acked = end
	return s.w.Offset(api.FrameLogAck, end, nil)
}

func (s *Session) handleArtifact(f api.Frame, h Handler) error {
	var start api.ArtifactStart
	if err := f.JSON(&start); err != nil {
		return err
	}
	r := &artifactReader{s: s}
	if h.Artifact != nil {
		if err := h.Artifact(start.Name, start.Size, r); err != nil && r.err == nil {
			return &handlerError{err}
		}
	}
	_, err := io.Copy(io.Discard, r)
	return err
}

// artifactReader reads the data of one artifact out of the frames.
type artifactReader struct {
	s    *Session
	rest []byte
	done bool
	err  error // of the line
}

func (r *artifactReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 && !r.done {
		if r.err != nil {
			return 0, r.err
		}
		f, err := api.ReadFrame(r.s.r, r.s.buf)
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if r.err = err; err != nil {
			return 0, err
		}
		switch f.Type {
		case api.FrameArtifactData:
			r.rest = f.Payload
		case api.FrameArtifactEnd:
			r.done = true
		case api.FrameError:
			return 0, remoteError(f)
		}
	}
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func remoteError(f api.Frame) error {
	e := new(api.Error)
	if err := f.JSON(e); err != nil {
		return err
	}
	return e
}

// Close ends the session; the job goes on.
func (s *Session) Close() error {
	if s.voice != nil {
		s.voice.shut()
	}
	s.conn.Close()
	return nil
}
