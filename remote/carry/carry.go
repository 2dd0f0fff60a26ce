// Package carry holds SFTP channels to one host, opened when they are needed and opened again when
// the line broke: what is read or written through it goes on where it stopped.
package carry

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/pkg/sftp"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/retry"
)

// Opener opens a channel that speaks SFTP to a host.
type Opener interface {
	Bulk(ctx context.Context) (io.ReadWriteCloser, error)
}

// Channels are up to so many SFTP channels to one host. Its methods may be called from several
// goroutines. Close it.
type Channels struct {
	opener   Opener
	width    int
	patience *retry.Patience
	tasks    sync.WaitGroup

	mu     sync.Mutex
	line   *line
	files  []int // open ones by slot
	closed bool
}

// New prepares up to width channels. Nothing is opened yet. patience is the one of the whole
// command; without one the first broken line is the end.
func New(opener Opener, width int, patience *retry.Patience) *Channels {
	return &Channels{opener: opener, width: width, patience: patience, files: make([]int, width)}
}

// Width is how many channels there are at most.
func (c *Channels) Width() int { return c.width }

// Close gives the channels up, whatever is under way.
func (c *Channels) Close() {
	c.mu.Lock()
	c.closed = true
	l := c.line
	c.mu.Unlock()
	if l != nil {
		l.cut()
	}
	c.tasks.Wait()
}

// heard says that something came of what then broke off, unless that break is known already.
func (c *Channels) heard() {
	c.mu.Lock()
	known := c.line == nil || c.line.isCut()
	c.mu.Unlock()
	if !known {
		c.patience.Alive()
	}
}

// with does one thing on the channel of a slot. A failure on a line that has been replaced since
// says nothing about the new one: it is tried there at once, so that one break is told once.
func (c *Channels) with(ctx context.Context, slot int, work func(*channel) error) error {
	for {
		l, err := c.current()
		if err != nil {
			return err
		}
		err = l.do(ctx, slot, work)
		if !retry.Broken(err) || !c.replaced(l) {
			return err
		}
	}
}

// current returns the line in use, a new one after a break.
func (c *Channels) current() (*line, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, os.ErrClosed
	}
	if c.line != nil && c.line.isCut() {
		c.line = nil
	}
	if c.line == nil {
		c.line = newLine(c.opener, c.width, &c.tasks)
	}
	return c.line, nil
}

// replaced tells whether l broke and another line came after it.
func (c *Channels) replaced(l *line) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.line != l && c.line != nil && !c.line.isCut()
}

// slot chooses the channel with the fewest open files for one more.
func (c *Channels) slot() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	best := 0
	for i, n := range c.files {
		if n < c.files[best] {
			best = i
		}
	}
	c.files[best]++
	return best
}

func (c *Channels) release(slot int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.files[slot]--
}

// ReadLink returns where a symlink on the host leads.
func (c *Channels) ReadLink(ctx context.Context, name string) (target string, err error) {
	err = c.patience.Do(ctx, func(ctx context.Context) error {
		return c.with(ctx, 0, func(ch *channel) (err error) {
			target, err = ch.client.ReadLink(name)
			return err
		})
	})
	return target, err
}

// Remove deletes a file on the host. It is tried once, whatever the patience.
func (c *Channels) Remove(ctx context.Context, name string) error {
	return c.with(ctx, 0, func(ch *channel) error { return ch.client.Remove(name) })
}

// line is one generation of channels: what breaks one of them is taken to break all.
type line struct {
	opener Opener
	tasks  *sync.WaitGroup
	done   chan struct{} // closed when it is cut
	slots  []slot

	mu      sync.Mutex
	streams []io.Closer
	ended   bool
}

// slot is the place of one channel.
type slot struct {
	turn chan struct{} // held by who opens it
	ch   *channel
}

// channel is one open SFTP channel.
type channel struct {
	line   *line
	client *sftp.Client
}

func newLine(opener Opener, width int, tasks *sync.WaitGroup) *line {
	l := &line{opener: opener, tasks: tasks, done: make(chan struct{}), slots: make([]slot, width)}
	for i := range l.slots {
		l.slots[i].turn = make(chan struct{}, 1)
	}
	return l
}

// cut closes all channels at once: an SFTP client alone would wait for a write that is stuck.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.ended = true
	close(l.done)
	for _, s := range l.streams {
		l.tasks.Go(func() { s.Close() })
	}
}

func (l *line) isCut() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

func (l *line) do(ctx context.Context, slot int, work func(*channel) error) error {
	ch, err := l.channel(ctx, slot)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, l.cut)
	defer stop()
	return l.judge(ctx, ch, work(ch))
}

// channel returns the one of a slot. The first opens alone, so that there is one connection; where
// the host allows no more of them it serves for the others.
func (l *line) channel(ctx context.Context, slot int) (*channel, error) {
	if slot > 0 {
		if _, err := l.channel(ctx, 0); err != nil {
			return nil, err
		}
	}
	s := &l.slots[slot]
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-s.turn }()
	if s.ch == nil {
		ch, err := l.open(ctx)
		if err != nil && slot > 0 && ctx.Err() == nil && !l.isCut() {
			ch, err = l.slots[0].ch, nil
		}
		if err != nil {
			return nil, err
		}
		s.ch = ch
	}
	return s.ch, nil
}

func (l *line) open(ctx context.Context) (*channel, error) {
	if l.isCut() {
		return nil, lost(io.ErrClosedPipe) // it broke while this one waited for its turn
	}
	stream, err := l.opener.Bulk(ctx)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	ended := l.ended
	l.streams = append(l.streams, stream)
	l.mu.Unlock()
	if ended {
		stream.Close()
		return nil, lost(io.ErrClosedPipe)
	}
	stop := context.AfterFunc(ctx, l.cut)
	defer stop()
	client, err := sftp.NewClientPipe(stream, stream, sftp.UseConcurrentWrites(true))
	if err != nil {
		stream.Close()
		return nil, greetingFailed(ctx, err)
	}
	l.tasks.Go(func() {
		_ = client.Wait()
		l.cut()
	})
	return &channel{line: l, client: client}, nil
}

// greetingFailed tells a line that broke from a server that says something else than SFTP.
func greetingFailed(ctx context.Context, err error) error {
	var system syscall.Errno // of the connection, as one that was reset
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &system):
		return lost(err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe), errors.Is(err, os.ErrClosed), errors.Is(err, net.ErrClosed):
		return lost(err) // or another channel of the set had it cut
	}
	return api.Errorf(api.Invalid, "ssh HOST true must print nothing: what start-up files print gets in the way", "unable to speak SFTP with the host: %w", err)
}

// judge tells what the host refused from a line that broke, which it cuts for the other channels.
func (l *line) judge(ctx context.Context, ch *channel, err error) error {
	var status *sftp.StatusError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission), errors.As(err, &status):
		return err
	case errors.Is(err, io.EOF) && !l.isCut():
		// A file's end reads like a channel's.
		if _, failed := ch.client.Getwd(); failed == nil {
			return err
		}
	}
	l.cut()
	return lost(err)
}

func lost(err error) error {
	return api.Errorf(api.LostContact, "", "lost contact with the host: %w", err)
}
