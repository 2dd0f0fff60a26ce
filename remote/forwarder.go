package remote

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote/retry"
)

// Forwarder carries connections to ports of this machine to what a job's host reaches, for as
// long as the job lives. Lost contact breaks the connections that are open, and no more: those
// that come later work once the line is back.
type Forwarder struct {
	client *Client
	job    string
	failed func(to string, err error) // a connection that was not to be had; from any goroutine

	ctx       context.Context
	cancel    context.CancelFunc
	following sync.WaitGroup
	accepting sync.WaitGroup
	conns     sync.WaitGroup
	room      chan struct{} // a place for each connection
	running   chan struct{} // closed when the job runs
	ended     chan struct{} // closed when it has ended
	runOnce   sync.Once
	endOnce   sync.Once
	err       error // why the job is no longer followed; read behind ended
	listeners []net.Listener

	mu    sync.Mutex
	queue []*waiting // connections that wait for the job to run, oldest first
}

// NewForwarder returns a Forwarder of a job that may not be submitted yet. failed is told what
// became of connections that could not be carried. Close ends it.
func (c *Client) NewForwarder(ctx context.Context, job string, failed func(to string, err error)) *Forwarder {
	f := &Forwarder{
		client: c, job: job, failed: failed, room: make(chan struct{}, api.MaxForwards),
		running: make(chan struct{}), ended: make(chan struct{}),
	}
	f.ctx, f.cancel = context.WithCancel(ctx)
	return f
}

// Listen begins to take connections, which wait until the job runs. It returns the address
// where, or the first of those.
func (f *Forwarder) Listen(s ForwardSpec) (net.Addr, error) {
	listeners, err := listen(s)
	if err != nil {
		return nil, listenError(s, err)
	}
	f.listeners = append(f.listeners, listeners...)
	for _, l := range listeners {
		f.accepting.Go(func() { f.accept(l, s.To) })
	}
	return listeners[0].Addr(), nil
}

// listen listens where s says; on this machine alone that is both of its own addresses.
func listen(s ForwardSpec) ([]net.Listener, error) {
	bind := s.Bind
	switch bind {
	case "*":
		bind = ""
	case "":
		return listenLoopback(s.Port)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(bind, strconv.Itoa(s.Port)))
	return []net.Listener{l}, err
}

// listenTries is how often a free port is chosen that only one of the addresses has free.
const listenTries = 10

func listenLoopback(port int) ([]net.Listener, error) {
	for try := 1; ; try++ {
		four, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return nil, err
		}
		six, err := net.Listen("tcp", net.JoinHostPort("::1", strconv.Itoa(four.Addr().(*net.TCPAddr).Port)))
		if err == nil {
			return []net.Listener{four, six}, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return []net.Listener{four}, nil // a machine without IPv6
		}
		four.Close()
		if port != 0 || try == listenTries {
			return nil, err
		}
	}
}

func listenError(s ForwardSpec, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return api.Errorf(api.Conflict, "choose another, or 0 for one that is free: 0:"+s.To, "port %d of this machine is in use", s.Port)
	case errors.Is(err, syscall.EACCES):
		return api.Errorf(api.Refused, "choose one above 1023", "this machine keeps port %d for its administrator", s.Port)
	}
	return api.Errorf(api.Invalid, "", "unable to listen at port %d: %w", s.Port, err)
}

// Start follows the job, which must have been accepted, so that connections go through when it
// runs. p is the patience of the command.
func (f *Forwarder) Start(p *retry.Patience) {
	f.following.Go(func() {
		_, err := f.client.Attach(nil, api.Follow{Job: f.job}, p).Run(f.ctx, Handler{State: f.state})
		f.end(err)
	})
}

func (f *Forwarder) state(info api.JobInfo) {
	if info.State != manifest.Queued {
		f.runOnce.Do(func() { close(f.running) })
	}
}

func (f *Forwarder) end(err error) {
	f.endOnce.Do(func() {
		f.err = err
		close(f.ended)
	})
}

// Ended is closed when the job has ended or can no longer be followed.
func (f *Forwarder) Ended() <-chan struct{} { return f.ended }

// Finish takes no more connections, lets those arrive whose service has ended with the job, and
// returns why the job was no longer followed, nil when it ended.
func (f *Forwarder) Finish() error {
	f.end(nil)
	f.closeListeners()
	f.conns.Wait()
	f.Close()
	return f.err
}

// Close breaks every connection and returns when nothing of the Forwarder is left.
func (f *Forwarder) Close() {
	f.cancel()
	f.closeListeners()
	f.following.Wait()
	f.conns.Wait()
}

func (f *Forwarder) closeListeners() {
	for _, l := range f.listeners {
		l.Close()
	}
	f.accepting.Wait()
}

// acceptAgain is how long to wait when this machine is out of files or memory.
const acceptAgain = 100 * time.Millisecond

// accept takes connections until the listener is closed; nothing else ends it.
func (f *Forwarder) accept(l net.Listener, to string) {
	for {
		conn, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			f.failed(to, err)
			select {
			case <-time.After(acceptAgain):
			case <-f.ctx.Done():
				return
			}
			continue
		}
		f.take(conn.(*net.TCPConn), to)
	}
}

func (f *Forwarder) take(conn *net.TCPConn, to string) {
	if !f.place() {
		f.refuse(conn, to, api.Errorf(api.Refused, "close some", "%d connections are open already", api.MaxForwards))
		return
	}
	f.conns.Go(func() {
		defer func() { <-f.room }()
		f.carry(conn, to)
	})
}

// carry takes one connection to the host once the job runs.
func (f *Forwarder) carry(conn *net.TCPConn, to string) {
	near := newWaiting(conn)
	select {
	case <-f.running:
	default:
		if !f.wait(near) {
			conn.Close()
			return
		}
	}
	var host net.Conn
	err := f.over()
	if err == nil {
		host, err = f.client.Forward(f.ctx, f.job, to)
	}
	if err != nil {
		f.refuse(conn, to, err)
		return
	}
	_ = api.Carry(f.ctx, f.ended, near, host.(api.Duplex)) // what cut it, both sides see
}

// over says why no connection can be had any more.
func (f *Forwarder) over() error {
	select {
	case <-f.ended:
		return errors.Join(f.err, api.ErrCut)
	default:
		return f.ctx.Err()
	}
}

// refuse resets a connection: its program learns at once that there is nobody.
func (f *Forwarder) refuse(conn *net.TCPConn, to string, err error) {
	_ = conn.SetLinger(0)
	conn.Close()
	if f.ctx.Err() == nil && !errors.Is(err, api.ErrCut) {
		f.failed(to, err)
	}
}
