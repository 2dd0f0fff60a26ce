package remote

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// beatOf returns a pulse on a pipe, whose other end answers pings as long as alive says so.
func beatOf(t *testing.T, alive func() bool) (p *pulse, other net.Conn) {
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	p = newPulse(near, func() error {
		if alive() {
			_, err := far.Write([]byte("x"))
			return err
		}
		return nil
	})
	return p, far
}

func TestSilenceIsNoticed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, _ := beatOf(t, func() bool { return false })
		began := time.Now()
		_, err := p.Read(make([]byte, 1))
		if took := time.Since(began); !errors.Is(err, errSilent) || took > 5*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

func TestAnswersKeepALine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, _ := beatOf(t, func() bool { return true })
		for range 1000 {
			if _, err := p.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A handler that takes an hour, as on a terminal that is stopped, is not the line's silence.
func TestNobodyIsAskedWhileNobodyReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		p, far := beatOf(t, func() bool { asked.Add(1); return false })
		go func() { _, _ = far.Write([]byte("xy")) }()
		for range 2 {
			if _, err := p.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
		}
		if asked.Load() != 0 {
			t.Errorf("asked %d times", asked.Load())
		}
	})
}

// A process that was stopped for minutes finds its timers long due, and answers that it has not read.
func TestOversleepingIsNoSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		p, far := beatOf(t, func() bool { asked.Add(1); return false })
		go func() {
			time.Sleep(quiet + time.Second)
			p.mu.Lock()
			p.due = time.Now().Add(-time.Minute) // as after a stop
			p.mu.Unlock()
			p.check()
			time.Sleep(answerLimit - time.Millisecond)
			_, _ = far.Write([]byte("x"))
		}()
		if _, err := p.Read(make([]byte, 1)); err != nil || asked.Load() != 2 {
			t.Errorf("%v after asking %d times", err, asked.Load())
		}
	})
}
