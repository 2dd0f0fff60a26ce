package remote

import (
	"errors"
	"net"
	"sync"
	"time"
)

// A line is asked for a sign of life when nothing has come for quiet, and counts as dead when
// nothing comes for answerLimit more: together less than 5 s.
const (
	quiet       = 2 * time.Second
	answerLimit = 2500 * time.Millisecond
	mostAnswer  = 20 * time.Second
)

// overslept is how late a timer of a process that runs can be. One that is later comes after this
// process or its machine was stopped: what came meanwhile may not have been read yet.
const overslept = 200 * time.Millisecond

// errSilent says that the other side gives no sign of life.
var errSilent = errors.New("no sign of life")

// pulse is a connection that notices, while somebody waits to read from it, that the other side
// is gone without a word. A handler that takes its time, or a terminal that is stopped, is no
// reason to think so.
type pulse struct {
	net.Conn
	ping  func() error
	limit time.Duration // for an answer

	mu      sync.Mutex
	timer   *time.Timer
	due     time.Time
	waiting bool // in Read
	asked   bool // since the last byte
	dead    bool
}

func newPulse(conn net.Conn, ping func() error) *pulse {
	p := &pulse{Conn: conn, ping: ping, limit: answerLimit}
	p.timer = time.AfterFunc(time.Hour, p.check)
	p.timer.Stop()
	return p
}

func (p *pulse) Read(b []byte) (int, error) {
	p.mu.Lock()
	p.waiting, p.asked = true, false
	p.arm(quiet)
	p.mu.Unlock()
	n, err := p.Conn.Read(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = false
	p.timer.Stop()
	if p.asked && time.Until(p.due) > p.limit-answerLimit {
		p.limit = answerLimit // it answers in time
	}
	if err != nil && p.dead {
		err = errSilent
	}
	return n, err
}

func (p *pulse) arm(after time.Duration) {
	p.due = time.Now().Add(after)
	p.timer.Reset(after)
}

// check asks for a sign of life, or gives up.
func (p *pulse) check() {
	p.mu.Lock()
	if !p.waiting || time.Now().Before(p.due) { // a byte came just now
		p.mu.Unlock()
		return
	}
	p.dead = p.asked && time.Since(p.due) < overslept
	dead := p.dead
	p.asked = true
	if !dead {
		p.arm(p.limit)
	}
	p.mu.Unlock()
	if dead {
		p.Conn.Close()
		return
	}
	_ = p.ping() // who reads learns of the broken line
}
