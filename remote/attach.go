package remote

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/retry"
)

// Attachment follows a job through broken lines: over one session after another, each of which
// goes on at the byte where the last one stopped, for the log and for the input alike.
type Attachment struct {
	client *Client
	follow api.Follow
	p      *retry.Patience
	voice  *voice

	offset atomic.Int64 // of the log, handed over
	exact  bool         // the log goes on at offset; false: wherever the host begins
	met    bool         // there was a session
	slow   int          // how often in a row the host gave no sign of life
	result *api.Result  // handed over

	mu      sync.Mutex
	session *Session // that is open and was not followed yet
	cancel  context.CancelFunc
	closed  bool
}

// Attach prepares to follow a job. session is one that is open already, of a Submit with the same
// Follow; nil opens one.
func (c *Client) Attach(session *Session, f api.Follow, p *retry.Patience) *Attachment {
	a := &Attachment{client: c, session: session, follow: f, p: p, exact: f.Tail == 0 && f.Since == 0}
	if session == nil {
		a.voice = newVoice(&f, -1)
	} else {
		a.voice, a.follow.Job = session.voice, session.job
	}
	a.offset.Store(f.From)
	return a
}

// Run tells h what happens until the job has ended and its result is here. It fails with
// api.LostContact when patience is used up. Cancelling ctx ends it; the job goes on.
//
// State is told again after each break. Once the result was handed over a line that breaks ends
// Run without an error: artifacts that were still to be pushed have not come.
func (a *Attachment) Run(ctx context.Context, h Handler) (*api.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !a.begin(cancel) {
		return nil, net.ErrClosed
	}
	defer a.Close()
	err := a.p.Do(ctx, func(ctx context.Context) error { return a.once(ctx, h) })
	switch {
	case !retry.Broken(err):
		return a.result, err
	case a.result != nil:
		return a.result, nil
	case a.met:
		return nil, lostContact(a.follow.Job, err)
	}
	return nil, err
}

// begin tells whether it may run.
func (a *Attachment) begin(cancel context.CancelFunc) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cancel = cancel
	return !a.closed
}

// once follows over one session until it ends or breaks.
func (a *Attachment) once(ctx context.Context, h Handler) error {
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	a.met = true
	a.p.Alive()
	result, err := s.run(ctx, a.handler(h))
	if err == nil {
		a.result = result
	}
	if a.result != nil && retry.Broken(err) {
		return nil
	}
	return a.silence(err)
}

// open goes on where the last session stopped.
func (a *Attachment) open(ctx context.Context) (*Session, error) {
	a.mu.Lock()
	s := a.session
	a.session = nil
	a.mu.Unlock()
	if s != nil {
		return s, nil
	}
	f := a.follow
	f.Input = a.voice.claim()
	if a.exact {
		f.From, f.Tail, f.Since = a.offset.Load(), 0, 0
	}
	s, err := a.client.follow(ctx, f, a.voice, min(answerLimit<<a.slow, mostAnswer))
	return s, a.silence(err)
}

// silence gives the next session longer to answer after one that did not: the line may be there
// and full, with what another command sends.
func (a *Attachment) silence(err error) error {
	if errors.Is(err, errSilent) {
		a.slow = min(a.slow+1, 3)
	} else {
		a.slow = 0
	}
	return err
}

// handler is h, told every byte of the log once.
func (a *Attachment) handler(h Handler) Handler {
	told := h
	told.State = func(info api.JobInfo) {
		if info.LogSize == 0 {
			a.exact = true // all that comes is new, however many lines were asked for
		}
		if h.State != nil {
			h.State(info)
		}
	}
	told.Log = func(c api.LogChunk) error {
		if err := a.follows(c); err != nil {
			return err
		}
		if h.Log != nil {
			if err := h.Log(c); err != nil {
				return err
			}
		}
		a.exact = true
		a.offset.Store(c.Offset + int64(len(c.Data)))
		return nil
	}
	told.Result = func(r api.Result) error {
		if h.Result != nil {
			if err := h.Result(r); err != nil {
				return err
			}
		}
		a.result = &r
		return nil
	}
	return told
}

// follows makes sure that nothing of the log is missing before c, and that nothing comes twice.
func (a *Attachment) follows(c api.LogChunk) error {
	at := a.offset.Load()
	if !a.exact || c.Offset == at || a.follow.Stream != "" && c.Offset > at {
		return nil
	}
	return api.Errorf(api.Corrupt, "cyclops logs "+a.follow.Job+" shows all of it", "the host sent the log from byte %d where byte %d comes next", c.Offset, at)
}

// Stdin is the job's standard input; it may be written to before Run. Closing it ends the input;
// a write fails with io.ErrClosedPipe once the job takes no more, or takes another client's.
func (a *Attachment) Stdin() io.WriteCloser { return stdinWriter{a.voice} }

// Signal sends a signal, named without SIG, to the job's processes, now or when the line is back.
func (a *Attachment) Signal(name string) error {
	return a.voice.order(api.FrameSignal, api.Signal{Name: name})
}

// Cancel asks for the job to be stopped, now or when the line is back.
func (a *Attachment) Cancel(r api.CancelRequest) error { return a.voice.order(api.FrameCancel, r) }

// Resize tells the job's terminal its size; the newest is told again after each break.
func (a *Attachment) Resize(rows, cols int) error {
	a.voice.resize(api.Resize{Rows: rows, Cols: cols})
	return nil
}

// Offset is how far the log was handed to Handler.Log: where an Attach goes on.
func (a *Attachment) Offset() int64 { return a.offset.Load() }

// Close ends it; the job goes on.
func (a *Attachment) Close() error {
	a.mu.Lock()
	a.closed = true
	session, cancel := a.session, a.cancel
	a.session = nil
	a.mu.Unlock()
	a.voice.shut()
	if cancel != nil {
		cancel()
	}
	if session != nil {
		session.conn.Close()
	}
	return nil
}
