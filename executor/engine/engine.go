//go:build linux

// Package engine takes accepted jobs through their lives: queue, supervisor, record.
package engine

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/environ"
	"github.com/cyclops-fpga/cyclops/executor/hostconfig"
	"github.com/cyclops-fpga/cyclops/executor/inputs"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/queue"
	"github.com/cyclops-fpga/cyclops/executor/samepath"
	"github.com/cyclops-fpga/cyclops/executor/space"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/executor/supervise"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// Launcher starts a supervisor somewhere and returns when its control socket accepts. A
// cluster's scheduler can take this place.
type Launcher interface {
	Launch(ctx context.Context, l *supervise.Launch) (Supervisor, error)
}

// Supervisor is what a Launcher started.
type Supervisor interface {
	// Wait returns when the supervisor has ended, or with the error of ctx.
	Wait(ctx context.Context) error
}

// Options says what an Engine works on. Every field is needed.
type Options struct {
	Data     layout.Data
	Self     []string // argv of this binary in the executor's role; a verb follows
	StoreID  string
	Host     string
	Config   hostconfig.Config
	Store    *store.Store
	Inputs   *inputs.Inputs
	Room     *space.Reserve
	Boot     string // id of this boot of the machine
	Launcher Launcher
	Clock    Clock
	Log      *slog.Logger
}

// Engine owns the jobs that have not ended. It is safe for concurrent use.
type Engine struct {
	Options
	counted *queue.Counted
	started time.Time
	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	wg      sync.WaitGroup

	// removing keeps a workspace from being deleted while a job that names it is accepted.
	removing sync.RWMutex
	sweep    sync.Mutex
	swept    time.Time

	clock      watchedClock
	keeper     keeper
	collecting sync.Mutex // one GC at a time

	login loginEnvironment

	// failed is set once the disk did not keep what it was given; nothing is accepted from then on.
	failed atomic.Pointer[space.Failed]

	// unrecorded holds the ends that the store could not take, by job id, as on a full disk.
	unrecorded sync.Map

	mu    sync.Mutex // guards what follows and every job in live
	queue *queue.Queue
	live  map[string]*job
	seq   int64
	stuck error // why no job is started now; nil: they are

	overviews overviews
}

// New takes up what the store and the jobs' directories say, and starts what may start. Close ends it.
func New(ctx context.Context, o Options) (*Engine, error) {
	e := &Engine{Options: o, counted: queue.NewCounted(o.Config.Resources), started: time.Now().UTC(), live: map[string]*job{}, overviews: overviews{}}
	e.queue = queue.New(o.Config.Slots, e.counted)
	e.ctx, e.stop = context.WithCancel(context.WithoutCancel(ctx))
	e.clock = watch(o.Clock)
	e.login.ready = make(chan struct{})
	e.wg.Go(func() { e.login.capture(e.ctx, o.Self) })
	if !e.retention().none() {
		e.keeper.wake = make(chan struct{}, 1)
	}
	left := e.leftBehind(ctx) // nothing is being removed now
	if err := e.recover(ctx); err != nil {
		e.Close()
		return nil, err
	}
	e.wg.Go(func() { e.clear(left) })
	if e.keeper.wake != nil {
		e.wg.Go(e.keep)
	}
	return e, nil
}

// Close lets go of every job; supervisors go on, and the next Engine finds them.
func (e *Engine) Close() {
	e.stop()
	e.wg.Wait()
}

// loginEnvironment is what the login shell gives to jobs.
type loginEnvironment struct {
	ready chan struct{} // closed after the first capture
	once  sync.Once
	mu    sync.Mutex
	login environ.Login
}

func (l *loginEnvironment) capture(ctx context.Context, self []string) environ.Login {
	login := environ.Capture(ctx, self)
	l.mu.Lock()
	l.login = login
	l.mu.Unlock()
	l.once.Do(func() { close(l.ready) })
	return login
}

func (l *loginEnvironment) vars(ctx context.Context) ([]string, error) {
	select {
	case <-l.ready:
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil {
		return nil, err // what was captured while leaving is not to be trusted
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.login.Vars, nil
}

// Environment reads the login environment again and reports it, with whether jobs can see their
// workspaces at the client's paths and which limits hold.
func (e *Engine) Environment(ctx context.Context) api.EnvironmentReport {
	report := e.login.capture(ctx, e.Self).Report()
	report.SamePathOff = samepath.Probe(ctx, e.Self, e.Data.Mounts())
	report.Limits = e.reportLimits()
	return report
}

// Status is the load of this host.
func (e *Engine) Status() *api.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	running, waiting := e.queue.Counts()
	s := &api.Status{
		Slots: e.queue.Slots(), Running: running, Queued: waiting, Draining: e.queue.Draining(),
		Trouble:   e.trouble(),
		Resources: []api.ResourceStatus{}, Tools: e.Config.ToolNames(), Started: e.started,
	}
	for _, u := range e.counted.Usage() {
		s.Resources = append(s.Resources, api.ResourceStatus(u))
	}
	return s
}

const drainSetting = "draining"

// Drain stops (or allows again) the starting of jobs, across restarts too.
func (e *Engine) Drain(ctx context.Context, draining bool) error {
	value := ""
	if draining {
		value = "true"
	}
	if err := failpoint.Do(failpoint.DrainCommit, func() error { return e.Store.SetSetting(ctx, drainSetting, value) }); err != nil {
		return e.disk(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue.Drain(draining)
	e.startNext()
	e.overviews.moved(e)
	return nil
}
