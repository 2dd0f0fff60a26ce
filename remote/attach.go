package remote

import (
	"context"
	"io"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/retry"
)

// Attachment follows a job through broken lines: over one session after another, each of which
// goes on at the byte where the last one stopped, for the log and for the input alike.
type Attachment struct {
	client  *Client
	session *Session
	follow  api.Follow
	p       *retry.Patience
}

// Attach prepares to follow a job. session is one that is open already, of a Submit with the same
// Follow; nil opens one.
func (c *Client) Attach(session *Session, f api.Follow, p *retry.Patience) *Attachment {
	return &Attachment{client: c, session: session, follow: f, p: p}
}

// Run tells h what happens until the job has ended and its result is here. It fails with
// api.LostContact when patience is used up. Cancelling ctx ends it; the job goes on.
func (a *Attachment) Run(ctx context.Context, h Handler) (*api.Result, error) {
	if a.session == nil {
		s, err := a.client.Follow(ctx, a.follow)
		if err != nil {
			return nil, err
		}
		a.session = s
	}
	return a.session.Run(ctx, h)
}

// Stdin is the job's standard input; it may be written to before Run. Closing it ends the input;
// a write fails with io.ErrClosedPipe once the job takes no more, or takes another client's.
func (a *Attachment) Stdin() io.WriteCloser { return a.session.Stdin() }

// Signal sends a signal, named without SIG, to the job's processes, now or when the line is back.
func (a *Attachment) Signal(name string) error { return a.session.Signal(name) }

// Cancel asks for the job to be stopped, now or when the line is back.
func (a *Attachment) Cancel(r api.CancelRequest) error { return a.session.Cancel(r) }

// Resize tells the job's terminal its size; the newest is told again after each break.
func (a *Attachment) Resize(rows, cols int) error {
	return a.session.w.JSON(api.FrameResize, api.Resize{Rows: rows, Cols: cols})
}

// Offset is how far the log was handed to Handler.Log: where an Attach goes on.
func (a *Attachment) Offset() int64 { return a.session.acked }

// Close ends it; the job goes on.
func (a *Attachment) Close() error { return a.session.Close() }
