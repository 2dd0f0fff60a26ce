//go:build linux

package serve

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/engine"
)

// dialTime is how long a port may take to answer.
const dialTime = 10 * time.Second

// forwards counts the connections that are open through each job.
type forwards struct {
	mu   sync.Mutex
	open map[string]int
}

func (f *forwards) enter(id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[id] >= api.MaxForwards {
		return api.Errorf(api.Refused, "close some", "%d connections are open through job %s already", api.MaxForwards, id)
	}
	if f.open == nil {
		f.open = map[string]int{}
	}
	f.open[id]++
	return nil
}

func (f *forwards) leave(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[id]--; f.open[id] == 0 {
		delete(f.open, id)
	}
}

// forward turns an exchange into a TCP connection from this machine, for as long as a job runs.
func (s *Server) forward(w http.ResponseWriter, r *http.Request) {
	s.streams.Add(1)
	defer s.streams.Done()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	defer context.AfterFunc(r.Context(), cancel)() // a client that hangs up need not wait for the port
	id, to := r.PathValue("id"), r.URL.Query().Get("to")
	job, err := s.enterForward(ctx, r, id, to)
	if err != nil {
		writeError(w, err)
		return
	}
	defer s.forwards.leave(id)
	defer job.Close()
	target, err := dialTarget(ctx, s.Host, to)
	if err != nil {
		writeError(w, err)
		return
	}
	defer target.Close()
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		writeError(w, fmt.Errorf("unable to begin forward: %w", err))
		return
	}
	defer conn.Close()
	client, ok := conn.(api.Duplex)
	if _, err := io.WriteString(conn, s.switching(api.ForwardProtocol)); err != nil || !ok {
		return
	}
	if err := api.Carry(s.ctx, job.Ended(), &readAhead{client, buffered.Reader}, target); err != nil {
		s.Log.Debug("forward ended early", "job", id, "to", to, "error", err)
	}
}

// enterForward checks what is asked for and counts it in.
func (s *Server) enterForward(ctx context.Context, r *http.Request, id, to string) (*engine.Watch, error) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), api.ForwardProtocol) {
		return nil, api.Errorf(api.Invalid, "", "a forward needs Upgrade: %s", api.ForwardProtocol)
	}
	if err := api.CheckTarget(to); err != nil {
		return nil, err
	}
	watch, err := s.Engine.Watch(ctx, id)
	if err != nil {
		return nil, err
	}
	if err = mayForward(watch.View()); err == nil {
		err = s.forwards.enter(id)
	}
	if err != nil {
		watch.Close()
		return nil, err
	}
	return watch, nil
}

func mayForward(v engine.View) error {
	j := v.Info
	switch {
	case v.Queued():
		return api.Errorf(api.Conflict, "cyclops forward waits until it runs", "job %s is queued: there is nothing to connect to yet", j.ID)
	case v.Ended || j.State.Ended():
		return api.Errorf(api.Conflict, "cyclops retry "+j.ID+" runs it again", "job %s has ended: there is nothing left to connect to", j.ID)
	}
	return nil
}

func dialTarget(ctx context.Context, host, to string) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: dialTime}
	conn, err := d.DialContext(ctx, "tcp", to)
	if err == nil {
		return conn.(*net.TCPConn), nil
	}
	unknown, isName := errors.AsType[*net.DNSError](err)
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, api.Errorf(api.Unreachable, "", "nothing listens at %s on %s", to, host)
	case isName && unknown.IsNotFound:
		return nil, api.Errorf(api.Unreachable, "", "%s knows no machine of the name %s", host, unknown.Name)
	case errors.As(err, &timeout) && timeout.Timeout():
		return nil, api.Errorf(api.Unreachable, "", "%s does not answer %s within %v", to, host, dialTime)
	}
	return nil, api.Errorf(api.Unreachable, "", "%s cannot be reached from %s: %w", to, host, err)
}

// readAhead is a connection some of whose bytes the server has read already.
type readAhead struct {
	api.Duplex
	r *bufio.Reader
}

func (c *readAhead) Read(p []byte) (int, error) { return c.r.Read(p) }
