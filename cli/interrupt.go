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
	"github.com/cyclops-fpga/cyclops/manifest"
)

// signalWatch turns signals to this process into what they mean for the job: before it is
// accepted they end the command, afterwards they are the job's or leave it.
type signalWatch struct {
	app    *App
	cancel context.CancelCauseFunc
	ch     chan os.Signal
	done   chan struct{}
	window func() // stops watching what concerns a raw terminal

	mu      sync.Mutex
	screen  *screen   // nil: no job is shown
	presses int       // of Ctrl-C
	tied    os.Signal // cancelled the job
}

// interrupted is the cause of a context that a signal ended.
type interrupted struct{ signal os.Signal }

func (e *interrupted) Error() string { return "interrupted" }

// watchSignals returns a context that ends with a signal before attach is called. It does not
// end with parent: Ctrl-C is the job's.
func (app *App) watchSignals(parent context.Context) (*signalWatch, context.Context) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(parent))
	w := &signalWatch{app: app, cancel: cancel, ch: make(chan os.Signal, 16), done: make(chan struct{}), window: func() {}}
	for _, s := range forwarded {
		// What is ignored, as under nohup or behind a script's &, stays so.
		if !signal.Ignored(s) {
			signal.Notify(w.ch, s)
		}
	}
	ignoreBrokenPipes()
	go func() {
		defer close(w.done)
		for s := range w.ch {
			w.handle(s)
		}
	}()
	return w, ctx
}

// watchWindow handles the signals that concern a raw terminal until Close, also when it is raw no
// longer: a program of Go's that has once asked for SIGTSTP would ignore it from then on.
func (w *signalWatch) watchWindow(window *window) { w.window = window.watch() }

// Close stops watching.
func (w *signalWatch) Close() {
	signal.Stop(w.ch)
	close(w.ch)
	<-w.done
	w.window()
	w.cancel(context.Canceled)
}

// end ends the command, also one whose output nobody takes.
func (w *signalWatch) end(cause error) {
	w.cancel(cause)
	w.app.stopOutput()
}

// attach makes the signals those of the job that s shows; nil: the command's own again.
func (w *signalWatch) attach(s *screen) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.screen = s
}

func (w *signalWatch) handle(s os.Signal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := signalName(s)
	switch {
	case w.screen == nil:
		w.end(&interrupted{s})
	case name == "TERM" || name == "HUP":
		w.leave(s)
	case name == "INT":
		w.interrupt(s)
	case w.presses > 1 && s == quitSignal && w.watched():
		_ = w.screen.attachment.Cancel(api.CancelRequest{Reason: "killed from the keyboard"})
	default:
		_ = w.screen.attachment.Signal(name)
	}
}

// watched tells whether somebody presses keys who reads what is said.
func (w *signalWatch) watched() bool { return term.IsTerminal(w.app.Err) && !w.screen.window.isRaw() }

// interrupt passes Ctrl-C on; who presses it again and again wants to leave.
func (w *signalWatch) interrupt(s os.Signal) {
	w.presses++
	if !w.watched() {
		_ = w.screen.attachment.Signal(signalName(s))
		return
	}
	if w.presses > 2 || w.presses > 1 && w.screen.contact.gone() {
		w.end(&interrupted{s})
		fmt.Fprintln(w.app.stderr) // the terminal echoed ^C
		return
	}
	_ = w.screen.attachment.Signal(signalName(s))
	if w.presses == 2 {
		fmt.Fprintln(w.app.stderr, "\r\ncyclops: the job was interrupted twice. Ctrl-C again leaves it running and returns; Ctrl-\\ kills it.")
	}
}

// leave ends the command. A job that is tied to it is cancelled first, and its end awaited until
// the signal comes again.
func (w *signalWatch) leave(s os.Signal) {
	if !w.screen.tie || w.tied != nil {
		w.end(&interrupted{s})
		return
	}
	w.tied = s
	_ = w.screen.attachment.Cancel(api.CancelRequest{Reason: "the command that it was tied to was ended by SIG" + signalName(s)})
}

// explain replaces the error of a job that the user left.
func (w *signalWatch) explain(job string, err error) error {
	var e *interrupted
	code := 0
	switch {
	case errors.As(err, &e):
		code = 128 + signalNumber(signalName(e.signal))
	case !errors.Is(err, errDetached):
		return err
	}
	return &exitError{code: code, err: api.Errorf(api.Cancelled, "cyclops attach "+job+" comes back to it, cyclops cancel "+job+" stops it", "detached: job %s goes on", job)}
}

// settle ends a command that a signal ended although the job has: a job that was tied to it was
// cancelled, unless the signal came too late for it, or its outputs are not all here.
func (w *signalWatch) settle(ctx context.Context, m *manifest.Manifest, err, undelivered error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var e *interrupted
	switch {
	case w.tied != nil && m.State == manifest.Cancelled:
		name := signalName(w.tied)
		return &exitError{code: 128 + signalNumber(name), err: api.Errorf(api.Cancelled, "cyclops logs "+m.Job+" shows what it wrote", "job %s was cancelled with this command, by SIG%s", m.Job, name)}
	case undelivered != nil && errors.As(context.Cause(ctx), &e):
		return &exitError{code: 128 + signalNumber(signalName(e.signal)), err: api.Errorf(api.Cancelled, "cyclops fetch "+m.Job+" brings the rest", "interrupted: not all outputs of job %s are here", m.Job)}
	}
	return err
}
