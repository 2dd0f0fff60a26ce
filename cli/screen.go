package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/journal"
)

// screen is what run, attach and shell show a job with: on this process's streams, through
// broken lines, with input, signals and the terminal's size going the other way.
type screen struct {
	app     *App
	status  *term.Status
	contact *contact
	signals *signalWatch
	keys    *term.Keys
	tie     bool // a signal that would detach cancels the job

	job      string // its id
	terminal bool   // the job runs on one
	input    string // names this process's input; empty: none is sent
	resume   journal.Screen
	come     bool // attached to what runs already: it is to draw its screen again

	attachment *remote.Attachment
	out        *logWriter
	window     *window                // nil: the job runs on pipes
	raw        bool                   // keys go to the job as they are typed
	shown      atomic.Pointer[window] // the same, for who warns meanwhile
	began      bool
	closed     bool
	warned     map[string]bool

	mu      sync.Mutex  // for what a question takes the terminal from
	stdin   *term.Input // nil: not read
	running bool        // its command does: the only time at which it takes input
}

// newScreen prepares to show a job; follow does. host may be filled in later.
func (app *App) newScreen(f *screenFlags, config *hosts.Config, signals *signalWatch, status *term.Status) (*screen, error) {
	keys, err := f.detachKeys(config)
	if err != nil {
		return nil, err
	}
	s := &screen{app: app, status: status, signals: signals, keys: keys, tie: f.tie, warned: map[string]bool{}}
	s.contact = app.newContact(f.patience, config, "", status)
	app.screen.Store(s)
	return s, nil
}

// of names the job and how it is shown; ask is what its host is asked for.
func (s *screen) of(host, job string, terminal, input bool) (ask api.Follow) {
	s.contact.host, s.job, s.terminal = host, job, terminal
	if input && s.app.In != nil {
		s.input = manifest.NewID()
	}
	return api.Follow{Job: job, Log: true, Attach: true, Input: s.input}
}

// follow shows the job until it has ended and its result is here. session is one that is open
// already and asks the same, or nil.
func (s *screen) follow(ctx context.Context, client *remote.Client, session *remote.Session, ask api.Follow, h remote.Handler) (*api.Result, error) {
	ask.From = s.resume.Offset
	s.attachment = client.Attach(session, ask, &s.contact.Patience)
	defer s.attachment.Close()
	s.out = s.open()
	defer func() { s.close(true) }() // whatever happens, a panic too
	s.signals.attach(s)
	defer s.signals.attach(nil)
	if !s.raw {
		s.begin()
	}
	if session != nil {
		s.state(session.Accepted.Job)
	}
	result, err := s.attachment.Run(ctx, remote.Handler{
		State:    s.state,
		Log:      s.log(),
		Result:   func(r api.Result) error { return s.result(r, h) },
		Artifact: h.Artifact,
		Taken:    s.taken,
	})
	err = errors.Join(err, s.out.flush())
	s.close(err != nil)
	s.contact.quiet()
	return result, s.leave(err)
}

// open chooses where the job's bytes go: as they are through a terminal of its own, else made
// safe if anybody sees them.
func (s *screen) open() *logWriter {
	if !s.terminal {
		return newLogWriter(s.status.Writer(term.JobWriter(s.app.stdout)), s.status.Writer(term.JobWriter(s.app.stderr)), false)
	}
	s.window = &window{in: s.app.In, out: s.app.stdout, self: s.app.self, resize: func(rows, cols int) { _ = s.attachment.Resize(rows, cols) }}
	s.shown.Store(s.window)
	s.raw = s.input != "" && term.IsTerminal(s.app.In)
	s.contact.show(s.window, s.way)
	return newLogWriter(s.window, s.window, false)
}

// way says how to leave a job whose host cannot be reached.
func (s *screen) way() string {
	if s.window.isRaw() {
		return s.keys.String() + " leaves the job running"
	}
	return "Ctrl-C twice leaves the job running"
}

// begin is the moment from which the job has the terminal: not before it runs, so that one that
// waits in the queue can be left as any command can.
func (s *screen) begin() {
	if s.began {
		return
	}
	s.began = true
	if s.raw {
		s.status.Hold(true)
		if err := s.window.enter(); err != nil {
			s.warn("unable to make this terminal raw: " + err.Error())
		}
	}
	if s.window != nil {
		s.window.again(s.resume.Modes)
		if s.raw {
			s.signals.watchWindow(s.window)
			s.window.fit()
		}
		if s.raw && s.come {
			s.window.redraw()
		}
	}
	s.sendInput()
}

// close gives the terminal back; reset is for a job that is left, or was ended, in the middle of things.
func (s *screen) close(reset bool) {
	if s.closed {
		return
	}
	s.closed = true
	s.contact.show(nil, s.way)
	s.stopInput()
	modes := s.window.state()
	s.window.close(reset)
	if s.raw && s.began {
		s.status.Hold(false)
	}
	s.resume = journal.Screen{Offset: max(s.attachment.Offset(), s.out.shown), Modes: modes}
}

// log passes a broken pipe on: a local tool would have been ended by it.
func (s *screen) log() func(api.LogChunk) error {
	broken := false
	return func(c api.LogChunk) error {
		s.begin()
		if broken {
			return nil
		}
		err := s.out.chunk(c)
		if errors.Is(err, syscall.EPIPE) {
			broken = true
			return s.attachment.Signal("PIPE")
		}
		if err != nil {
			return api.Errorf(api.Internal, "cyclops logs "+s.job+" has all of it", "unable to show the log: %w", err)
		}
		return nil
	}
}

// result gives the terminal back before anything else is said.
func (s *screen) result(r api.Result, h remote.Handler) error {
	reset := false
	if s.window != nil {
		var m struct {
			ExitCode *int
			Signal   string
		}
		err := json.Unmarshal(r.Manifest, &m)
		reset = err != nil || m.ExitCode == nil || m.Signal != ""
	}
	s.close(reset)
	if h.Result == nil {
		return nil
	}
	return h.Result(r)
}

// state says what a job waits for; a running one speaks for itself.
func (s *screen) state(j api.JobInfo) {
	s.mu.Lock()
	s.running = j.State == manifest.Running && j.Phase == api.PhaseRunning
	running := s.running
	s.mu.Unlock()
	for _, text := range j.Warnings {
		if !s.warned[text] {
			s.warned[text] = true
			s.warn(text)
		}
	}
	if running {
		s.status.Say(nil)
		s.begin()
		return
	}
	sayState(s.status, j)
}

// taken says that what is typed or piped in here no longer gets to the job.
func (s *screen) taken() {
	if s.raw {
		s.warn("another attach has the job's input now; " + s.keys.String() + " leaves the job running")
		return
	}
	s.warn("another attach has the job's input now: no more of this one's is taken")
}

// sayState says what a job waits for.
func sayState(status *term.Status, j api.JobInfo) {
	switch {
	case j.State == manifest.Queued:
		status.Say(func() string { return queuedText(j) })
	case j.State == manifest.Running && j.Phase == api.PhasePreparing:
		status.Say(func() string { return "bringing the workspace up to date" })
	case j.State == manifest.Running && j.Phase == api.PhaseCollecting:
		status.Say(func() string { return "collecting outputs" })
	default:
		status.Say(nil)
	}
}

func queuedText(j api.JobInfo) string {
	text := "queued"
	if j.Position > 1 {
		text = fmt.Sprintf("queued behind %s", count(j.Position-1, "job", "jobs"))
	}
	if j.WaitsFor != "" {
		text += ", waits for " + j.WaitsFor
	}
	return term.Clean(text)
}

// warn prints a line for a person.
func (s *screen) warn(text string) { s.app.warn("%s", text) }

// say writes a line of ours where the terminal is raw; false: it is not, and any line will do.
func (s *screen) say(f *term.Output, text string) bool {
	if s == nil {
		return false
	}
	w := s.shown.Load()
	if !w.isRaw() {
		return false
	}
	w.say(f, text)
	return true
}

// leave remembers where the screen of a job stopped that goes on, for attach, and forgets it when
// its end was shown.
func (s *screen) leave(err error) error {
	if err == nil {
		return journal.ForgetScreen(s.app.dirs, s.job)
	}
	if s.resume.Offset > 0 {
		if kept := journal.LeaveScreen(s.app.dirs, s.job, s.resume); kept != nil {
			s.app.warn("%v", kept)
		}
	}
	if api.KindOf(err) == api.LostContact {
		return api.Errorf(api.LostContact, "cyclops attach "+s.job+" comes back to it", "%w; job %s goes on", err, s.job)
	}
	return err
}
