package remote

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// maxKept is how much a connection may send before the job runs; the rest stays in the kernel.
const maxKept = 16 << 10

// waiting is a connection whose job does not run yet. It is read from meanwhile, so that it does
// not keep its place when its program has gone: a tool that tries again and again would take all.
type waiting struct {
	tcpConn
	kept    []byte        // was read and is not carried yet
	heard   chan struct{} // closed when nothing more is read
	err     error         // that ended it; read behind heard
	dropped chan struct{} // closed when its place is needed
}

type tcpConn interface {
	api.Duplex
	SetLinger(sec int) error
	SetReadDeadline(t time.Time) error
}

func newWaiting(c *net.TCPConn) *waiting {
	return &waiting{tcpConn: c, heard: make(chan struct{}), dropped: make(chan struct{})}
}

// Read returns what was kept and then what comes.
func (w *waiting) Read(p []byte) (int, error) {
	if len(w.kept) == 0 {
		return w.tcpConn.Read(p)
	}
	n := copy(p, w.kept)
	w.kept = w.kept[n:]
	return n, nil
}

// listen reads until stop, the peer's end, or enough.
func (w *waiting) listen() {
	defer close(w.heard)
	buf := make([]byte, 1<<10)
	for w.err == nil && len(w.kept) < maxKept {
		var n int
		n, w.err = w.tcpConn.Read(buf)
		w.kept = append(w.kept, buf[:n]...)
	}
}

func (w *waiting) stop() {
	_ = w.SetReadDeadline(time.Unix(1, 0))
	<-w.heard
	_ = w.SetReadDeadline(time.Time{})
}

// gone tells, behind heard, whether nobody can be waiting for an answer: one who sent something
// and ended that side may be.
func (w *waiting) gone() bool {
	over := w.err != nil && !errors.Is(w.err, os.ErrDeadlineExceeded)
	return over && (w.err != io.EOF || len(w.kept) == 0)
}

// ended tells whether the peer sends nothing any more.
func (w *waiting) ended() bool {
	select {
	case <-w.heard:
		return w.err == io.EOF
	default:
		return false
	}
}

// wait keeps a connection until the job runs or is over; false: it is not worth carrying.
func (f *Forwarder) wait(w *waiting) bool {
	f.mu.Lock()
	f.queue = append(f.queue, w)
	f.mu.Unlock()
	go w.listen()
	defer w.stop()
	heard := w.heard
	for {
		select {
		case <-f.running:
		case <-f.ended:
		case <-f.ctx.Done():
		case <-w.dropped:
		case <-heard:
			heard = nil
			if !w.gone() {
				continue
			}
			f.leave(w)
			return false
		}
		return f.leave(w)
	}
}

// leave takes w out of the queue; false: make room did so before.
func (f *Forwarder) leave(w *waiting) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.Index(f.queue, w)
	if i >= 0 {
		f.queue = slices.Delete(f.queue, i, i+1)
	}
	return i >= 0
}

// place takes a place for a connection. Where there is none the oldest that waits and sends
// nothing any more gives up its own.
func (f *Forwarder) place() bool {
	select {
	case f.room <- struct{}{}:
		return true
	default:
	}
	if !f.makeRoom() {
		return false
	}
	select {
	case f.room <- struct{}{}:
		return true
	case <-f.ctx.Done():
		return false
	}
}

func (f *Forwarder) makeRoom() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.queue, (*waiting).ended)
	if i < 0 {
		return false
	}
	close(f.queue[i].dropped)
	f.queue = slices.Delete(f.queue, i, i+1)
	return true
}
