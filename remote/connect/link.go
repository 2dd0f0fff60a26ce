package connect

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// socketPath is where a link listens.
func (c linkConfig) socketPath() string {
	return filepath.Join(c.Dirs.Runtime, fmt.Sprintf("link%d.%d-%s", linkVersion, api.Version, c.key()))
}

func (c linkConfig) fits() bool { return len(c.socketPath()) <= api.MaxSocketPath }

// link is the client's end of the background process that holds the SSH connection.
type link struct {
	cfg    linkConfig
	self   []string
	prompt Prompter
	log    *slog.Logger
	client string
}

func newLink(cfg linkConfig, opt Options) *link {
	return &link{cfg: cfg, self: opt.Self, prompt: opt.Prompter, log: opt.Log, client: rand.Text()}
}

func (l *link) close() error { return nil }

func (l *link) exchange(ctx context.Context) (net.Conn, error) {
	c, _, err := l.ask(ctx, request{Op: opExchange}, nil)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (l *link) sftp(ctx context.Context) (stream, error) {
	c, _, err := l.ask(ctx, request{Op: opSFTP}, nil)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (l *link) exec(ctx context.Context, command string, stdin io.Reader) (ExecResult, error) {
	c, r, err := l.ask(ctx, request{Op: opExec, Command: command}, stdin)
	if err != nil {
		return ExecResult{}, err
	}
	c.Close()
	if r.Result == nil {
		return ExecResult{}, errors.New("the link gave no result")
	}
	return *r.Result, nil
}

func (l *link) hello(ctx context.Context) (api.Hello, error) {
	c, r, err := l.ask(ctx, request{Op: opHello}, nil)
	if err != nil {
		return api.Hello{}, err
	}
	c.Close()
	if r.Hello == nil {
		return api.Hello{}, errors.New("the link gave no hello")
	}
	return *r.Hello, nil
}

// ask sends a request and serves the link's prompts until it is done. A link that leaves just
// then is replaced once.
func (l *link) ask(ctx context.Context, q request, stdin io.Reader) (*lines, reply, error) {
	q.Agent, q.Client, q.Prompts = agentSocket(), l.client, l.prompt != nil
	for try := 0; ; try++ {
		c, err := l.connect(ctx)
		if err != nil {
			return nil, reply{}, err
		}
		r, heard, err := l.converse(ctx, c, q, stdin)
		if err == nil {
			return c, r, nil
		}
		c.Close()
		var e *api.Error
		if heard || try > 0 || ctx.Err() != nil || errors.As(err, &e) {
			return nil, r, l.failed(ctx, err)
		}
	}
}

func (l *link) failed(ctx context.Context, err error) error {
	var e *api.Error
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &e):
		return err
	}
	return api.Errorf(api.LostContact, "", "unable to speak with the link to %s: %w", l.cfg.Host.Name, err)
}

// converse tells also whether the link said anything at all.
func (l *link) converse(ctx context.Context, c *lines, q request, stdin io.Reader) (r reply, heard bool, err error) {
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if err := c.send(q); err != nil {
		return r, false, err
	}
	defer func() { _ = c.SetReadDeadline(time.Time{}) }()
	for {
		r = reply{}
		err := hear(c, &r)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return r, heard, api.Errorf(api.LostContact, "", "the link to %s says nothing", l.cfg.Host.Name)
		}
		if err != nil {
			return r, heard, err
		}
		heard = true
		switch {
		case r.Error != nil:
			return r, true, r.Error
		case r.Done:
			return r, true, nil
		case r.Input:
			go feed(c, stdin)
		case r.Prompt != nil:
			if err := l.answer(ctx, c, *r.Prompt); err != nil {
				return r, true, err
			}
		}
	}
}

// hear waits for one reply. A process that was stopped meanwhile looks once more: what came is there.
func hear(c *lines, r *reply) error {
	_ = c.SetReadDeadline(time.Now().Add(linkSilence))
	err := c.receive(r)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		_ = c.SetReadDeadline(time.Now().Add(linkGrace))
		err = c.receive(r)
	}
	return err
}

func feed(c *lines, stdin io.Reader) {
	if stdin != nil {
		_, _ = io.Copy(c.Conn, stdin)
	}
	_ = c.CloseWrite()
}

func (l *link) answer(ctx context.Context, c *lines, p Prompt) error {
	if l.prompt == nil {
		return c.send(answer{Failed: "nobody can be asked"})
	}
	text, err := l.prompt.Prompt(ctx, p)
	if err != nil {
		return c.send(answer{Failed: err.Error()})
	}
	return c.send(answer{Text: text})
}

// connect reaches the link's process, which it starts if there is none.
func (l *link) connect(ctx context.Context) (*lines, error) {
	if err := ownDirectory(l.cfg.Dirs.Runtime); err != nil {
		return nil, api.Errorf(api.Refused, "", "unable to keep the link's socket: %w", err)
	}
	path := l.cfg.socketPath()
	var d net.Dialer
	if c, err := d.DialContext(ctx, "unix", path); err == nil {
		return newLines(c), nil
	}
	unlock, err := l.turn(ctx, path+".lock")
	if err != nil {
		return nil, err
	}
	defer unlock()
	if c, err := d.DialContext(ctx, "unix", path); err == nil {
		return newLines(c), nil
	}
	if err := l.spawn(ctx); err != nil {
		return nil, api.Errorf(api.Internal, "", "unable to start the link: %w", err)
	}
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, api.Errorf(api.Internal, "", "unable to reach the link: %w", err)
	}
	return newLines(c), nil
}

// turnWait is how long another process may take to start the link. It does that at once, unless it is
// stopped, as by Ctrl-Z; then all others would wait for it without a word.
const turnWait = 10 * time.Second

// turn waits until no other process starts the link.
func (l *link) turn(ctx context.Context, path string) (func(), error) {
	limit, cancel := context.WithTimeout(ctx, turnWait)
	defer cancel()
	unlock, err := lock(limit, path)
	if err != nil && limit.Err() != nil && ctx.Err() == nil {
		return nil, api.Errorf(api.Unreachable, "one that is stopped, as by Ctrl-Z, goes on with fg",
			"unable to start the link to %s: another cyclops has been starting it for %v", l.cfg.Host.Name, turnWait)
	}
	if err != nil {
		return nil, api.Errorf(api.Internal, "", "unable to start the link: %w", err)
	}
	return unlock, nil
}

// unlocker gives back a lock; it makes a lock something that await can dispose of.
type unlocker func()

func (u unlocker) Close() error {
	u()
	return nil
}

// lock waits for a file's lock for as long as ctx allows.
func lock(ctx context.Context, path string) (func(), error) {
	u, err := await(ctx, func() (unlocker, error) {
		unlock, err := lockedfile.MutexAt(path).Lock()
		return unlock, err
	})
	return u, err
}

// spawn starts the link's process and waits until it listens.
func (l *link) spawn(ctx context.Context) error {
	if len(l.self) == 0 {
		return errors.New("the path of this program is not known")
	}
	cfg, err := json.Marshal(l.cfg)
	if err != nil {
		return err
	}
	program, err := filepath.Abs(l.self[0]) // before the directory is another one
	if err != nil {
		return err
	}
	cmd := exec.Command(program, append(append([]string{}, l.self[1:]...), LinkVerb)...)
	cmd.SysProcAttr = detached()
	cmd.Dir = l.cfg.Dirs.Runtime // the link must not keep the working directory busy
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout = w
	err = cmd.Start()
	w.Close()
	if err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }()
	stop := context.AfterFunc(ctx, func() { out.Close() })
	defer stop()
	_, err = in.Write(cfg)
	in.Close()
	return errors.Join(err, listening(out))
}

// listening reads what the link says about itself: "ok", or why not.
func listening(out io.Reader) error {
	said, err := io.ReadAll(io.LimitReader(out, 4<<10))
	if err == nil && string(said) != linkReady {
		err = fmt.Errorf("it said %q", said)
	}
	return err
}

const linkReady = "ok\n"

// StopLink ends the link to a host, if there is one, with all that goes through it.
func StopLink(ctx context.Context, c *Conn) error {
	l, ok := c.way.(*link)
	if !ok {
		return nil
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", l.cfg.socketPath())
	if err != nil {
		return nil
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := newLines(conn).send(request{Op: opStop}); err != nil {
		return nil // it was leaving already
	}
	_, _ = io.Copy(io.Discard, conn) // the link's end is its answer
	return ctx.Err()
}
