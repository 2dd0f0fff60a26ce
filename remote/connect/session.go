package connect

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
)

// errLinkLost says that the SSH connection is gone.
var errLinkLost = errors.New("the connection to the host is lost")

// session is one live SSH connection and what is kept ready on it.
type session struct {
	host   hosts.Host
	conn   *wired
	log    *slog.Logger
	memory *memory
	closed chan struct{} // closed when the connection is gone
	wake   chan struct{} // told when something begins to be used
	tasks  sync.WaitGroup

	mu        sync.Mutex
	ending    bool
	primed    bool // a session was opened: sshd has set TCP_NODELAY
	sessions  int
	open      map[*channel]bool
	freed     chan struct{} // closed when a session ends
	used      int           // channels in use; the line is watched closely while there are any
	spareSFTP *channel
	noSFTP    bool
	spare     *spare
	filling   bool
	learned   learned
}

func newSession(host hosts.Host, conn *wired, mem *memory, log *slog.Logger) *session {
	s := &session{
		host: host, conn: conn, log: log, memory: mem,
		closed: make(chan struct{}), wake: make(chan struct{}, 1), freed: make(chan struct{}), open: map[*channel]bool{},
	}
	s.learned = mem.load()
	s.tasks.Go(func() {
		_ = conn.Wait()
		close(s.closed)
	})
	s.tasks.Go(s.watch)
	return s
}

// alive tells whether the connection still stands, as far as is known.
func (s *session) alive() bool {
	select {
	case <-s.closed:
		return false
	default:
		return !s.conn.wire.cut.Load()
	}
}

// task runs f beside everything else; close waits for it.
func (s *session) task(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ending {
		s.tasks.Go(f)
	}
}

func (s *session) close() error {
	s.mu.Lock()
	s.ending = true
	s.mu.Unlock()
	err := s.conn.Close()
	s.tasks.Wait()
	return err
}

func (s *session) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions += n
	if n < 0 {
		close(s.freed)
		s.freed = make(chan struct{})
	}
}

func (s *session) watchFreed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.freed
}

func (s *session) openSessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions
}

// use counts what a client holds, until the function it returns is called.
func (s *session) use() func() {
	s.mu.Lock()
	s.used++
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return func() {
		s.mu.Lock()
		s.used--
		s.mu.Unlock()
	}
}

func (s *session) inUse() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used > 0
}

// exchange hands out the spare channel, or opens one to the socket that is known, or has the
// host's executor dial for it.
func (s *session) exchange(ctx context.Context) (stream, error) {
	if err := failpoint.At(failpoint.LinkChannel); err != nil {
		return nil, fmt.Errorf("unable to open a channel: %w", err)
	}
	if sp := s.takeSpare(); sp != nil {
		s.refill()
		return sp, nil
	}
	if path := s.socket(); path != "" {
		c, err := s.direct(ctx, path)
		if err == nil {
			s.refill()
			return c, nil
		}
		if ctx.Err() != nil || !s.alive() {
			return nil, errors.Join(ctx.Err(), errLinkLost)
		}
		s.log.Info("the executor's socket cannot be reached", "because", err)
	}
	c, hello, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	s.learn(hello)
	return c, nil
}

// direct opens a channel to the executor's socket, and beside it a session, without which sshd
// never sets TCP_NODELAY and each small exchange stalls 40 ms.
func (s *session) direct(ctx context.Context, path string) (*channel, error) {
	primed := make(chan error, 1)
	go func() { primed <- s.prime(ctx) }()
	c, err := s.openSocket(ctx, path)
	perr := <-primed
	if err == nil && perr != nil {
		c.Close()
		return nil, perr
	}
	return c, err
}

// prime opens the first session: SFTP, which is kept for the first who asks, or an empty command.
func (s *session) prime(ctx context.Context) error {
	s.mu.Lock()
	primed := s.primed
	s.mu.Unlock()
	if primed {
		return nil
	}
	c, err := s.subsystem(ctx, false)
	if err == nil {
		s.keepSFTP(c)
		return nil
	}
	if !errors.Is(err, errRefused) {
		return err
	}
	c, err = s.command(ctx, ":")
	if err != nil {
		return err
	}
	return c.Close()
}

// subsystem opens the sftp subsystem.
func (s *session) subsystem(ctx context.Context, wait bool) (*channel, error) {
	c, err := s.openSession(ctx, "subsystem", "sftp", wait)
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(err, errRefused) {
		s.noSFTP = true
	}
	s.primed = s.primed || err == nil
	if err == nil {
		s.conn.wire.calm.Store(true)
		go func() { _, _ = io.Copy(io.Discard, c.Stderr()) }()
	}
	return c, err
}

// command runs a command on a session; its standard error is the caller's to read.
func (s *session) command(ctx context.Context, line string) (*channel, error) {
	c, err := s.openSession(ctx, "exec", line, true)
	if err == nil {
		s.mu.Lock()
		s.primed = true
		s.mu.Unlock()
		s.conn.wire.calm.Store(true)
	}
	return c, err
}

func (s *session) keepSFTP(c *channel) {
	s.mu.Lock()
	old := s.spareSFTP
	s.spareSFTP = c
	s.mu.Unlock()
	if old != nil {
		old.Close()
	}
}

func (s *session) takeSFTP() *channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.spareSFTP
	s.spareSFTP = nil
	return c
}

func (s *session) dropSpareSFTP() bool {
	c := s.takeSFTP()
	if c != nil {
		c.Close()
	}
	return c != nil
}

// sftp opens a channel that speaks SFTP: the subsystem, or the executor's own server where that
// is off. wait says whether to wait for a session when the host allows no more.
func (s *session) sftp(ctx context.Context, wait bool) (stream, error) {
	if c := s.takeSFTP(); c != nil {
		return c, nil
	}
	if !s.lacksSFTP() {
		c, err := s.subsystem(ctx, wait)
		if !errors.Is(err, errRefused) {
			return c, s.sessionError(err)
		}
	}
	c, err := s.openSession(ctx, "exec", executorCommand(s.host, "sftp"), wait)
	if err != nil {
		return nil, s.sessionError(err)
	}
	go func() { _, _ = io.Copy(io.Discard, c.Stderr()) }()
	return c, nil
}

func (s *session) lacksSFTP() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.noSFTP
}

func (s *session) sessionError(err error) error {
	var full *ssh.OpenChannelError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &full):
		return api.Errorf(api.Unreachable, "MaxSessions in the host's sshd_config limits them", "%s opens no more channels: %s", s.host.Name, full.Message)
	case !s.alive():
		return errLinkLost
	}
	return err
}

// dial runs the executor's dial, which starts the daemon if need be.
func (s *session) dial(ctx context.Context) (stream, api.Hello, error) {
	c, err := s.command(ctx, executorCommand(s.host, "dial"))
	if err != nil {
		return nil, api.Hello{}, s.sessionError(err)
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	said := &capped{limit: 4 << 10}
	ended := make(chan struct{})
	go func() { defer close(ended); _, _ = io.Copy(said, c.Stderr()) }()
	r := firstLine(c)
	hello, err := readHello(r)
	if err == nil {
		err = checkHello(s.host.Name, hello)
	} else {
		err = s.noHello(ctx, c, ended, said, err)
	}
	if err != nil {
		c.Close()
		return nil, hello, err
	}
	return &buffered{channel: c, r: r}, hello, nil
}

// noHello says why dial ended without its line.
func (s *session) noHello(ctx context.Context, c *channel, ended <-chan struct{}, said *capped, err error) error {
	var e *api.Error
	if errors.As(err, &e) {
		return err
	}
	select {
	case code, told := <-c.ended:
		if told && code == noExecutor {
			return api.Errorf(api.NoExecutor, "cyclops install "+s.host.Name, "%s has no executor", s.host.Name)
		}
		if !told && s.gone() { // its end is the line's
			return errLinkLost
		}
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closed:
		return errLinkLost
	}
	<-ended
	if text := said.String(); text != "" {
		err = errors.New(text)
	}
	return api.Errorf(api.NoExecutor, "cyclops doctor "+s.host.Name, "the executor on %s does not start: %w", s.host.Name, err)
}

// hello asks who answers, through dial.
func (s *session) hello(ctx context.Context) (api.Hello, error) {
	c, hello, err := s.dial(ctx)
	if err != nil {
		return hello, err
	}
	s.learn(hello)
	return hello, c.Close()
}

// buffered is a channel whose first bytes were read already.
type buffered struct {
	*channel
	r *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// exec runs a command to its end.
func (s *session) exec(ctx context.Context, line string, stdin io.Reader) (ExecResult, error) {
	c, err := s.command(ctx, line)
	if err != nil {
		return ExecResult{}, s.sessionError(err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	stdout, stderr := capped{limit: MaxOutput}, capped{limit: MaxOutput}
	var read sync.WaitGroup
	read.Go(func() { _, _ = io.Copy(&stderr, c.Stderr()) })
	read.Go(func() { _, _ = io.Copy(&stdout, c) })
	go func() {
		if stdin != nil {
			_, _ = io.Copy(c, stdin)
		}
		_ = c.CloseWrite()
	}()
	read.Wait()
	code, told := <-c.ended
	if err := ctx.Err(); err != nil {
		return ExecResult{}, err
	}
	if !told {
		return ExecResult{}, api.Errorf(api.LostContact, "", "unable to tell how a command on %s ended: %w", s.host.Name, errLinkLost)
	}
	return ExecResult{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), Code: code}, nil
}

// The line is probed when it has been quiet that long, and given up when the probe's answer takes longer.
const (
	quietInUse  = 1500 * time.Millisecond
	quietIdle   = time.Minute
	answerLimit = 2500 * time.Millisecond
)

// watch notices a dead line: a keepalive is raced against a timer, since it would block for ever.
func (s *session) watch() {
	for {
		limit := quietIdle
		if s.inUse() {
			limit = quietInUse
		}
		timer := time.NewTimer(max(limit-s.conn.wire.quiet(), time.Millisecond))
		select {
		case <-s.closed:
			timer.Stop()
			return
		case <-s.wake:
			timer.Stop()
			continue
		case <-timer.C:
		}
		if s.conn.wire.quiet() >= limit && !s.probe() {
			s.log.Warn("the line is dead", "quiet", s.conn.wire.quiet())
			s.conn.wire.Close()
			return
		}
	}
}

// probe asks the host for a sign of life; any byte counts.
func (s *session) probe() bool {
	answered := make(chan struct{})
	go func() {
		s.knock()
		close(answered)
	}()
	timer := time.NewTimer(answerLimit)
	defer timer.Stop()
	select {
	case <-answered:
	case <-s.closed:
	case <-timer.C:
	}
	return s.conn.wire.quiet() < answerLimit
}

// knock makes the host answer. A master passes no global request on, and never forgets a channel
// that was refused: there it is a request on a channel that is open.
func (s *session) knock() {
	const name = "keepalive@openssh.com"
	if !s.conn.shared {
		_, _, _ = s.conn.SendRequest(name, true, nil)
		return
	}
	for _, c := range s.channels() {
		if _, err := c.SendRequest(name, true, nil); err == nil {
			return
		}
	}
	_ = echoes(s.conn)
}

func (s *session) channels() []*channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.open))
}

// opened counts a channel as open until ended is called.
func (s *session) opened(c *channel) (ended func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[c] = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, c)
	}
}

// socket is where the executor listens, when channels to it are allowed.
func (s *session) socket() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.learned.Forbidden {
		return ""
	}
	return s.learned.Socket
}

// validSocket tells whether a path that the host told is one that a channel can be opened to.
func validSocket(h api.Hello) bool {
	return strings.HasPrefix(h.Socket, "/") && len(h.Socket) <= api.MaxSocketPath && !strings.ContainsRune(h.Socket, 0)
}
