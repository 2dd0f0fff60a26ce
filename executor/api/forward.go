package api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// MaxForwards is how many connections may be open through one job at once.
const MaxForwards = 256

// CheckTarget tells whether to names a TCP port of a machine, as HOST:PORT with IPv6 in brackets.
func CheckTarget(to string) error {
	host, port, err := net.SplitHostPort(to)
	if err != nil {
		return Errorf(Invalid, "HOST:PORT, for example localhost:3121 or [::1]:3121", "%q names no port of a host", to)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return Errorf(Invalid, "a port is a number from 1 to 65535", "%q in %q is no port", port, to)
	}
	if _, err := netip.ParseAddr(host); err != nil && !validHostName(host) {
		return Errorf(Invalid, "", "%q in %q is no name of a host", host, to)
	}
	return nil
}

func validHostName(s string) bool {
	odd := func(r rune) bool {
		return r != '-' && r != '.' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	return s != "" && len(s) <= 253 && s[0] != '-' && s[0] != '.' && !strings.ContainsFunc(s, odd)
}

// Duplex is a connection each direction of which can end on its own.
type Duplex interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// When what the bytes came from has ended they go on for as long as they move, or somebody who
// is slow has to take them, but for no longer than carryAfter.
const (
	carrySize  = 128 << 10
	quietAfter = time.Second
	carryAfter = 30 * time.Second
)

// ErrCut says that a connection was ended before both sides had.
var ErrCut = errors.New("the connection was cut")

// Carry passes bytes between a and b until both directions have ended, one by one, and closes
// both. A broken side resets the other, so that half a transfer does not look like a whole one.
// When ended is closed only what is under way still arrives; when ctx ends nothing does.
func Carry(ctx context.Context, ended <-chan struct{}, a, b Duplex) error {
	c := &carriage{a: a, b: b, done: make(chan error, 2)}
	go c.copy(a, b)
	go c.copy(b, a)
	err := c.await(ctx, ended)
	if err != nil {
		reset(a)
		reset(b)
	}
	a.Close()
	b.Close()
	for ; c.running > 0; c.running-- {
		<-c.done
	}
	return err
}

type carriage struct {
	a, b    Duplex
	done    chan error
	moved   atomic.Int64
	writing atomic.Int32 // directions that wait for their receiver: those are not quiet
	running int
}

// await returns when both directions have ended, or with what ended them early.
func (c *carriage) await(ctx context.Context, ended <-chan struct{}) error {
	var tick <-chan time.Time
	var last, ticks int64
	c.running = 2
	for c.running > 0 {
		select {
		case err := <-c.done:
			c.running--
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ended:
			ended = nil
			ticker := time.NewTicker(quietAfter)
			defer ticker.Stop()
			tick, last = ticker.C, c.moved.Load()
		case <-tick:
			now := c.moved.Load()
			if ticks++; now == last && c.quiet() || ticks > int64(carryAfter/quietAfter) {
				return ErrCut
			}
			last = now
		}
	}
	return nil
}

// quiet tells whether there is nothing that somebody has to take: not even this process, which may
// just not have had its turn.
func (c *carriage) quiet() bool {
	return c.writing.Load() == 0 && underWay(c.a) == 0 && underWay(c.b) == 0
}

func (c *carriage) copy(to, from Duplex) {
	buf := make([]byte, carrySize)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			c.writing.Add(1)
			_, werr := to.Write(buf[:n])
			c.writing.Add(-1)
			if werr != nil {
				c.done <- werr
				return
			}
			c.moved.Add(int64(n))
		}
		if err == io.EOF {
			_ = to.CloseWrite() // fails where that side has gone: nobody is left to tell
			err = nil
		} else if err == nil {
			continue
		}
		c.done <- err
		return
	}
}

// resetter is a TCP connection.
type resetter interface{ SetLinger(sec int) error }

// reset makes the next Close of a TCP connection one that the other side cannot take for an end.
func reset(d Duplex) {
	if tcp, ok := d.(resetter); ok {
		_ = tcp.SetLinger(0)
	}
}
