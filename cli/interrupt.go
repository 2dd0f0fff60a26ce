package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote"
)

// signalWatch turns signals to this process into what they mean for the job: before it is
// accepted they end the command, afterwards they are the job's.
type signalWatch struct {
	app    *App
	cancel context.CancelCauseFunc
	ch     chan os.Signal
	done   chan struct{}

	mu       sync.Mutex
	session  *remote.Session
	presses  int  // of Ctrl-C
	detached bool // the user chose to leave the job running
}

// interrupted is the cause of a context that a signal ended.
type interrupted struct{ signal os.Signal }

func (e *interrupted) Error() string { return "interrupted" }

// watchSignals returns a context that ends with a signal before attach is called. It does not
// end with parent: Ctrl-C is the job's.
func (app *App) watchSignals(parent context.Context) (*signalWatch, context.Context) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(parent))
	w := &signalWatch{app: app, cancel: cancel, ch: make(chan os.Signal, 8), done: make(chan struct{})}
	signal.Notify(w.ch, forwarded...)
	ignoreBrokenPipes()
	go func() {
		defer close(w.done)
		for s := range w.ch {
			w.handle(s)
		}
	}()
	return w, ctx
}

// Close stops watching.
func (w *signalWatch) Close() {
	signal.Stop(w.ch)
	close(w.ch)
	<-w.done
	w.cancel(context.Canceled)
}

// attach makes the signals those of session's job.
func (w *signalWatch) attach(session *remote.Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.session = session
}

func (w *signalWatch) handle(s os.Signal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.session == nil {
		w.cancel(&interrupted{s})
		return
	}
	if s == os.Interrupt {
		w.presses++
	}
	onTerminal := term.IsTerminal(w.app.Err)
	switch {
	case w.presses > 2 && onTerminal && s == os.Interrupt:
		w.detached = true
		fmt.Fprintln(w.app.Err) // the terminal echoed ^C
		w.cancel(&interrupted{s})
	case w.presses > 1 && onTerminal && s == quitSignal:
		_ = w.session.Cancel(api.CancelRequest{Reason: "killed from the keyboard"})
	default:
		_ = w.session.Signal(signalName(s))
		if w.presses == 2 && onTerminal {
			fmt.Fprintln(w.app.Err, "\r\ncyclops: the job was interrupted twice. Ctrl-C again leaves it running and returns; Ctrl-\\ kills it.")
		}
	}
}

// explain replaces the error of a session that the user left.
func (w *signalWatch) explain(t *trip, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var e *interrupted
	if !w.detached || !errors.As(err, &e) {
		return err
	}
	left := api.Errorf(api.Cancelled, "cyclops logs -f "+t.job.ID+" follows it again, cyclops cancel "+t.job.ID+" stops it", "detached: job %s goes on", t.job.ID)
	return &exitError{code: 128 + signalNumber(signalName(e.signal)), err: left}
}
