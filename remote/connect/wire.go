package connect

import (
	"net"
	"sync/atomic"
	"time"
)

// wire is a connection that remembers when it last brought something, and that it broke: a channel
// that has ended of it must not be followed by another on the same wire.
type wire struct {
	net.Conn
	born time.Time
	last atomic.Int64 // since born
	cut  atomic.Bool
	calm atomic.Bool // sshd answers at once by itself
	ack  func()      // has it answer sooner; nil: there is no way
}

func newWire(c net.Conn) *wire { return &wire{Conn: c, born: time.Now(), ack: acknowledger(c)} }

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.last.Store(int64(time.Since(w.born)))
		if w.ack != nil && !w.calm.Load() {
			w.ack()
		}
	}
	if err != nil {
		w.cut.Store(true)
	}
	return n, err
}

// Write is the first to hear of a connection that was reset, at times.
func (w *wire) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err != nil {
		w.cut.Store(true)
	}
	return n, err
}

// quiet is how long nothing has come.
func (w *wire) quiet() time.Duration { return time.Since(w.born) - time.Duration(w.last.Load()) }
