package remote

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// hearing is the host's side of one session of a voice.
type hearing struct {
	t    *testing.T
	conn net.Conn
	stop func()
}

func speak(t *testing.T, v *voice, fresh bool) *hearing {
	near, far := net.Pipe()
	stop := v.speak(api.NewFrameWriter(near), fresh)
	h := &hearing{t: t, conn: far, stop: func() { near.Close(); far.Close(); stop() }}
	return h
}

// next reads one frame as text.
func (h *hearing) next() string {
	h.t.Helper()
	f, err := api.ReadFrame(h.conn, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	switch f.Type {
	case api.FrameStdin, api.FrameStdinEnd:
		off, data, _ := f.Offset()
		return fmt.Sprintf("%d:%d:%s", f.Type, off, data)
	}
	return fmt.Sprintf("%d:%s", f.Type, f.Payload)
}

func (h *hearing) expect(words ...string) {
	h.t.Helper()
	for _, want := range words {
		if got := h.next(); got != want {
			h.t.Fatalf("heard %q, want %q", got, want)
		}
	}
}

func (h *hearing) silent() {
	h.t.Helper()
	_ = h.conn.SetReadDeadline(time.Now().Add(time.Hour))
	if n, _ := h.conn.Read(make([]byte, 1)); n > 0 {
		h.t.Fatal("something was said")
	}
	_ = h.conn.SetReadDeadline(time.Time{})
}

func write(t *testing.T, v *voice, text string) {
	t.Helper()
	if _, err := io.WriteString(stdinWriter{v}, text); err != nil {
		t.Fatal(err)
	}
}

func TestInputGoesOnWhereTheHostHasIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVoice(&api.Follow{Attach: true, Input: "me"}, 0)
		write(t, v, "one ")
		h := speak(t, v, true)
		h.expect("16:0:one ")
		v.acknowledge(2)
		write(t, v, "two ")
		h.expect("16:4:two ")
		h.stop()
		write(t, v, "three")
		_ = stdinWriter{v}.Close()
		h = speak(t, v, false)
		h.silent() // until the host has said what it has
		v.owned(api.StdinOwner{Input: "me", Received: 5})
		h.expect("16:5:wo three", "17:13:")
		h.stop()
		h = speak(t, v, false)
		v.owned(api.StdinOwner{Input: "me", Received: 13})
		h.expect("17:13:")
		h.stop()
	})
}

// The host keeps what comes before the job runs: its first word after a Submit asks for nothing
// again, each later one does.
func TestInputAfterASubmitGoesOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVoice(&api.Follow{Attach: true, Input: "me"}, 0)
		write(t, v, "one ")
		h := speak(t, v, true)
		h.expect("16:0:one ")
		v.owned(api.StdinOwner{Input: "me", Received: 0})
		h.silent()
		write(t, v, "two")
		h.expect("16:4:two")
		v.owned(api.StdinOwner{Input: "me", Received: 2})
		h.expect("16:2:e two")
		h.stop()
		h = speak(t, v, false)
		h.silent()
		v.owned(api.StdinOwner{Input: "me", Received: 2})
		h.expect("16:2:e two")
		h.stop()
	})
}

func TestInputOfAnAttachBeginsWhereTheHostSays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVoice(&api.Follow{Attach: true, Input: "me"}, -1)
		write(t, v, "word")
		h := speak(t, v, false)
		h.silent()
		v.acknowledge(100)
		v.owned(api.StdinOwner{Input: "me", Received: 100})
		h.expect("16:100:word")
		h.stop()
	})
}

func TestInputEndsForAnotherClient(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*voice){
		"another owner": func(v *voice) { v.owned(api.StdinOwner{Input: "another", Received: 2}) },
		"lost bytes":    func(v *voice) { v.owned(api.StdinOwner{Input: "me", Received: 1 << 20}) },
		"closed":        func(v *voice) { v.shut() },
	} {
		synctest.Test(t, func(t *testing.T) {
			v := newVoice(&api.Follow{Attach: true, Input: "me"}, 0)
			blocked := make(chan error)
			go func() {
				_, err := stdinWriter{v}.Write(bytes.Repeat([]byte("x"), api.StdinWindow+1))
				blocked <- err
			}()
			synctest.Wait()
			end(v)
			if err := <-blocked; !errors.Is(err, io.ErrClosedPipe) || v.claim() != "" {
				t.Errorf("%s: %v, claims %q", name, err, v.claim())
			}
			h := speak(t, v, true)
			h.silent()
			h.stop()
		})
	}
}

func TestNoMoreThanTheWindowIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVoice(&api.Follow{Attach: true, Input: "me"}, 0)
		var done atomic.Bool
		go func() { write(t, v, string(make([]byte, api.StdinWindow+1))); done.Store(true) }()
		synctest.Wait()
		h := speak(t, v, true)
		for range api.StdinWindow / stdinPiece {
			h.next()
		}
		h.silent()
		if done.Load() {
			t.Error("more than the window was taken")
		}
		v.acknowledge(1)
		h.expect(fmt.Sprintf("16:%d:\x00", api.StdinWindow))
		synctest.Wait()
		if !done.Load() {
			t.Error("a write waits although there is room")
		}
		h.stop()
	})
}

func TestOrdersAreSaidUntilTheyWereHeard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVoice(&api.Follow{Attach: true}, -1)
		for _, name := range []string{"INT", "TERM"} {
			if err := v.order(api.FrameSignal, api.Signal{Name: name}); err != nil {
				t.Fatal(err)
			}
		}
		v.resize(api.Resize{Rows: 1, Cols: 1})
		v.resize(api.Resize{Rows: 24, Cols: 80})
		const first, second, size = `19:{"name":"INT"}`, `19:{"name":"TERM"}`, `20:{"rows":24,"cols":80}`
		h := speak(t, v, false)
		h.expect(size, first, "21:\x00\x00\x00\x00\x00\x00\x00\x01", second, "21:\x00\x00\x00\x00\x00\x00\x00\x02")
		v.answered([]byte{0, 0, 0, 0, 0, 0, 0, 1})
		v.answered(nil)
		h.stop()
		h = speak(t, v, false)
		h.expect(size, second, "21:\x00\x00\x00\x00\x00\x00\x00\x02")
		v.answered([]byte{0, 0, 0, 0, 0, 0, 0, 2})
		h.silent()
		h.stop()
	})
}

func TestOrdersThatWaitAreBounded(t *testing.T) {
	t.Parallel()
	v := newVoice(&api.Follow{Attach: true}, -1)
	var err error
	for range maxOrders + 1 {
		err = v.order(api.FrameSignal, api.Signal{Name: "INT"})
	}
	if api.KindOf(err) != api.Unreachable {
		t.Errorf("%v after %d signals", err, maxOrders+1)
	}
}
