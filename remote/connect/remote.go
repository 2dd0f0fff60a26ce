package connect

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/place"
)

// LinkVerb is the hidden verb of the CLI that runs ServeLink.
const LinkVerb = "link"

// openRemote goes through the link, or without one where the config turns it off or where its
// socket's path would be too long.
func openRemote(host hosts.Host, opt Options) way {
	cfg := linkConfig{Host: host, Dirs: opt.Dirs, SSHConfig: opt.SSHConfig}
	if host.LinkIdle > 0 && cfg.fits() {
		return newLink(cfg, opt)
	}
	return &direct{connector: newConnector(cfg, opt.Log, nil), prompt: opt.Prompter}
}

// OpenTraced connects to an SSH host at once and within this process, and tells each step.
func OpenTraced(ctx context.Context, host hosts.Host, opt Options, trace func(Step)) (*Conn, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	cfg := linkConfig{Host: host, Dirs: opt.Dirs, SSHConfig: opt.SSHConfig}
	d := &direct{connector: newConnector(cfg, opt.Log, trace), prompt: opt.Prompter}
	if _, err := d.connector.get(ctx, d.prompt, agentSocket()); err != nil {
		return nil, err
	}
	return &Conn{host: host, way: d}, nil
}

// linkConfig is what a link serves; it is what the link's process is told at its start.
type linkConfig struct {
	Host      hosts.Host `json:"host"`
	Dirs      place.Dirs `json:"dirs"`
	SSHConfig string     `json:"sshConfig,omitempty"`
}

// key names the link: destinations that resolve alike by their text share one.
func (c linkConfig) key() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %d %q %q %q", c.Host.Name, c.Host.User, c.Host.Address, c.Host.Port, c.Host.Data, c.Host.Executor, c.SSHConfig)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// connector holds the one session to a host and connects again when it is gone.
type connector struct {
	cfg    linkConfig
	log    *slog.Logger
	memory *memory
	trace  func(Step)
	turn   chan struct{} // held by whoever connects: one at a time asks a person
	keys   keyring
	took   time.Duration // as dialer.greeted; of whoever holds turn

	mu      sync.Mutex
	current *session
	ended   bool
}

func newConnector(cfg linkConfig, log *slog.Logger, trace func(Step)) *connector {
	return &connector{
		cfg: cfg, log: log, trace: trace, turn: make(chan struct{}, 1),
		memory: &memory{file: filepath.Join(cfg.Dirs.State, "links", cfg.key()+".json")},
	}
}

func (c *connector) live() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && c.current.alive() {
		return c.current
	}
	return nil
}

// get returns the live session, or makes one and has prompt answer for it.
func (c *connector) get(ctx context.Context, prompt Prompter, agent string) (*session, error) {
	if s := c.live(); s != nil {
		return s, nil
	}
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-c.turn }()
	if s := c.live(); s != nil {
		return s, nil
	}
	d := &dialer{
		name: c.cfg.Host.Name, prompt: prompt, runtime: c.cfg.Dirs.Runtime, log: c.log, trace: c.trace, keys: &c.keys, greeted: c.took,
		resolver: hosts.Resolver{File: c.cfg.SSHConfig, Agent: agent},
	}
	h := c.cfg.Host
	if err := failpoint.At(failpoint.LinkDial); err != nil {
		return nil, fmt.Errorf("unable to connect: %w", err)
	}
	conn, err := d.dial(ctx, hosts.Destination{User: h.User, Host: h.Address, Port: h.Port}, 0)
	if err != nil {
		return nil, err
	}
	c.took = conn.took
	return c.install(newSession(h, conn, c.memory, c.log))
}

// install makes s the session in use.
func (c *connector) install(s *session) (*session, error) {
	c.mu.Lock()
	old, ended := c.current, c.ended
	if !ended {
		c.current = s
	}
	c.mu.Unlock()
	if ended {
		s.close()
		return nil, net.ErrClosed
	}
	if old != nil {
		old.close()
	}
	return s, nil
}

func (c *connector) close() error {
	c.mu.Lock()
	s := c.current
	c.current, c.ended = nil, true
	c.mu.Unlock()
	if s == nil {
		return nil
	}
	return s.close()
}

// on runs f with a live session, and once more with a new one when the line turns out to be dead.
func on[T any](ctx context.Context, c *connector, prompt Prompter, agent string, f func(*session) (T, error)) (T, error) {
	var none T
	for try := 0; ; try++ {
		s, err := c.get(ctx, prompt, agent)
		if err != nil {
			return none, err
		}
		release := s.use()
		v, err := f(s)
		release()
		if err == nil || try > 0 || ctx.Err() != nil || !s.gone() {
			return v, c.outcome(err)
		}
		c.log.Info("connecting again", "because", err)
	}
}

// gone waits a moment for a connection that broke to say so.
func (s *session) gone() bool {
	const moment = 100 * time.Millisecond
	timer := time.NewTimer(moment)
	defer timer.Stop()
	if s.conn.wire.quiet() < quietInUse {
		return !s.alive()
	}
	select {
	case <-s.closed:
		return true
	case <-timer.C:
		return false
	}
}

func (c *connector) outcome(err error) error {
	var e *api.Error
	if err == nil || errors.As(err, &e) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return api.Errorf(api.LostContact, "", "unable to speak with %s: %w", c.cfg.Host.Name, err)
}

// held is a stream that keeps its session's line watched until the host has closed it too: on a
// dead line that was watched no more, what is stuck in it would be stuck for long.
type held struct {
	stream
	once    sync.Once
	session *session
	release func()
}

func (h *held) Close() error {
	h.once.Do(func() {
		c, ok := h.stream.(interface{ over() <-chan struct{} })
		if !ok {
			h.release()
			return
		}
		h.session.task(func() {
			<-c.over()
			h.release()
		})
	})
	return h.stream.Close()
}

func hold(s *session) func(stream, error) (stream, error) {
	return func(st stream, err error) (stream, error) {
		if err != nil {
			return nil, err
		}
		return &held{stream: st, session: s, release: s.use()}, nil
	}
}

func (c *connector) exchange(ctx context.Context, prompt Prompter, agent string) (stream, error) {
	return on(ctx, c, prompt, agent, func(s *session) (stream, error) { return hold(s)(s.exchange(ctx)) })
}

func (c *connector) sftp(ctx context.Context, prompt Prompter, agent string, wait bool) (stream, error) {
	return on(ctx, c, prompt, agent, func(s *session) (stream, error) { return hold(s)(s.sftp(ctx, wait)) })
}

// exec is not tried twice: a command may have done its work before the line broke.
func (c *connector) exec(ctx context.Context, prompt Prompter, agent, line string, stdin io.Reader) (ExecResult, error) {
	s, err := c.get(ctx, prompt, agent)
	if err != nil {
		return ExecResult{}, err
	}
	defer s.use()()
	r, err := s.exec(ctx, line, stdin)
	return r, c.outcome(err)
}

func (c *connector) hello(ctx context.Context, prompt Prompter, agent string) (api.Hello, error) {
	return on(ctx, c, prompt, agent, func(s *session) (api.Hello, error) { return s.hello(ctx) })
}

// direct is the way without a link: the connection is this process's own.
type direct struct {
	connector *connector
	prompt    Prompter
}

func (d *direct) exchange(ctx context.Context) (net.Conn, error) {
	s, err := d.connector.exchange(ctx, d.prompt, agentSocket())
	if err != nil {
		return nil, err
	}
	return streamConn{s, d.connector.cfg.Host.Name}, nil
}

func (d *direct) sftp(ctx context.Context) (stream, error) {
	return d.connector.sftp(ctx, d.prompt, agentSocket(), false)
}

func (d *direct) exec(ctx context.Context, command string, stdin io.Reader) (ExecResult, error) {
	return d.connector.exec(ctx, d.prompt, agentSocket(), command, stdin)
}

func (d *direct) hello(ctx context.Context) (api.Hello, error) {
	return d.connector.hello(ctx, d.prompt, agentSocket())
}

func (d *direct) close() error { return d.connector.close() }

// streamConn makes a net.Conn of an SSH channel, which knows no deadlines.
type streamConn struct {
	stream
	host string
}

func (c streamConn) LocalAddr() net.Addr              { return hostAddr("") }
func (c streamConn) RemoteAddr() net.Addr             { return hostAddr(c.host) }
func (c streamConn) SetDeadline(time.Time) error      { return nil }
func (c streamConn) SetReadDeadline(time.Time) error  { return nil }
func (c streamConn) SetWriteDeadline(time.Time) error { return nil }

type hostAddr string

func (hostAddr) Network() string  { return "ssh" }
func (a hostAddr) String() string { return string(a) }
