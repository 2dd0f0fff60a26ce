package connect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// ServeLink is the link's process: it reads what to serve from standard input, says on standard
// output that it listens, and returns the exit code when it has been idle for its time.
func ServeLink(ctx context.Context) int {
	s, err := startLink(ctx, os.Stdin)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Print(linkReady)
	os.Stdout.Close()
	os.Stdin.Close()
	s.serve()
	return 0
}

// server is the link's end of the connections of clients.
type server struct {
	ctx       context.Context
	stop      context.CancelFunc
	cfg       linkConfig
	log       *slog.Logger
	listener  net.Listener
	connector *connector
	clients   sync.WaitGroup

	mu     sync.Mutex
	active int
	idle   *time.Timer
	sftps  map[string]int // SFTP channels by client
}

func startLink(ctx context.Context, stdin io.Reader) (*server, error) {
	var cfg linkConfig
	if err := json.NewDecoder(io.LimitReader(stdin, maxMessage)).Decode(&cfg); err != nil {
		return nil, fmt.Errorf("unable to read what to serve: %w", err)
	}
	if err := ownDirectory(cfg.Dirs.Runtime); err != nil {
		return nil, err
	}
	path := cfg.socketPath()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err // the client that starts a link holds the lock: nobody listens here
	}
	if err := failpoint.At(failpoint.LinkListen); err != nil {
		return nil, fmt.Errorf("unable to listen for clients: %w", err)
	}
	l, err := listenPrivate(path)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.DiscardHandler)
	if f, err := os.OpenFile(path+".log", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600); err == nil {
		log = slog.New(slog.NewTextHandler(f, nil))
	}
	ctx, stop := context.WithCancel(ctx)
	s := &server{ctx: ctx, stop: stop, cfg: cfg, log: log, listener: l, sftps: map[string]int{}}
	s.connector = newConnector(cfg, log, nil)
	s.idle = time.AfterFunc(cfg.Host.LinkIdle, s.leave)
	return s, nil
}

// serve accepts clients until nobody has used the link for its idle time.
func (s *server) serve() {
	stopped := context.AfterFunc(s.ctx, func() { s.listener.Close() })
	defer stopped()
	for {
		c, err := s.listener.Accept()
		if err != nil {
			break
		}
		s.enter()
		s.clients.Go(func() {
			defer s.exit()
			s.client(c)
		})
	}
	s.stop()
	s.connector.close()
	s.clients.Wait()
}

// leave takes the socket away before it lets clients go, so that one which came too late finds
// none and starts another link.
func (s *server) leave() {
	s.listener.Close()
	s.stop()
}

func (s *server) enter() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active++
	s.idle.Stop()
}

func (s *server) exit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active--; s.active == 0 {
		s.idle.Reset(s.cfg.Host.LinkIdle)
	}
}

// requestTime bounds how long a client may take to say what it wants.
const requestTime = 10 * time.Second

func (s *server) client(conn net.Conn) {
	defer conn.Close()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	c := newLines(conn)
	var q request
	_ = conn.SetReadDeadline(time.Now().Add(requestTime))
	if err := c.receive(&q); err != nil {
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	if err := s.handle(ctx, c, q); err != nil {
		s.log.Info("request failed", "op", q.Op, "error", err)
		_ = c.send(reply{Error: asError(err)})
	}
}

func (s *server) handle(ctx context.Context, c *lines, q request) error {
	switch q.Op {
	case opExchange:
		st, err := whileThere(ctx, c, q, func(ctx context.Context, p Prompter) (stream, error) {
			return s.connector.exchange(ctx, p, q.Agent)
		})
		return carry(c, st, err)
	case opSFTP:
		defer s.countSFTP(q.Client)()
		first := s.sftpsOf(q.Client) == 1
		st, err := whileThere(ctx, c, q, func(ctx context.Context, p Prompter) (stream, error) {
			return s.connector.sftp(ctx, p, q.Agent, first)
		})
		return carry(c, st, err)
	case opExec:
		return s.exec(ctx, c, q)
	case opHello:
		h, err := whileThere(ctx, c, q, func(ctx context.Context, p Prompter) (api.Hello, error) {
			return s.connector.hello(ctx, p, q.Agent)
		})
		if err != nil {
			return err
		}
		return c.send(reply{Done: true, Hello: &h})
	case opStop:
		s.leave()
		return nil
	}
	return fmt.Errorf("the link knows no request %q", q.Op)
}

func (s *server) countSFTP(client string) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sftps[client]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.sftps[client]--; s.sftps[client] == 0 {
			delete(s.sftps, client)
		}
	}
}

func (s *server) sftpsOf(client string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sftps[client]
}

// exec relays a command: its input as bytes, its result as the last line.
func (s *server) exec(ctx context.Context, c *lines, q request) error {
	_, err := whileThere(ctx, c, q, func(ctx context.Context, p Prompter) (*session, error) {
		return s.connector.get(ctx, p, q.Agent)
	})
	if err != nil {
		return err
	}
	if err := c.send(reply{Input: true}); err != nil {
		return err
	}
	done := c.beating()
	r, err := s.connector.exec(ctx, nil, q.Agent, q.Command, c)
	done()
	if err != nil {
		return err
	}
	return c.send(reply{Done: true, Result: &r})
}

// carry passes bytes between a client and a channel until both have said all. A side that is
// done is closed on the other one too, so that nothing waits for it.
func carry(c *lines, st stream, err error) error {
	if err != nil {
		return err
	}
	defer st.Close()
	if err := c.send(reply{Done: true}); err != nil {
		return nil // the client is gone: there is nobody to tell
	}
	var up sync.WaitGroup
	up.Go(func() {
		if _, err := io.Copy(st, c); err != nil {
			st.Close()
		}
		_ = st.CloseWrite()
	})
	if _, err := io.Copy(c.Conn, st); err != nil {
		st.Close()
	}
	_ = c.CloseWrite()
	up.Wait()
	return nil
}
