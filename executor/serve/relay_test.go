//go:build linux

package serve

import (
	"bufio"
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/engine"
)

// followed is a follower and the client at the other end of its socket.
func followed(t *testing.T, silence time.Duration) (*follower, net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); client.Close(); conn.Close() })
	st := &stream{ctx: ctx, cancel: cancel, conn: conn, r: bufio.NewReader(conn), w: api.NewFrameWriter(conn), silence: silence}
	f := &follower{stream: st, watch: &engine.Watch{}, credit: newCredit()}
	f.input = newRelay(f)
	return f, client
}

func TestAClientThatIsGoneWithoutAWordIsLetGo(t *testing.T) {
	t.Parallel()
	const silence = time.Second
	f, client := followed(t, silence)
	heard := make(chan struct{})
	go func() { defer close(heard); f.input.hear() }()
	w, began := api.NewFrameWriter(client), time.Now()
	for range 3 { // longer together than it may be silent
		time.Sleep(silence / 2)
		if err := w.Write(api.FramePing); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-f.ctx.Done():
	case <-time.After(20 * silence):
		t.Fatal("it is followed for ever")
	}
	<-heard
	if lasted := time.Since(began); lasted < 2*silence {
		t.Errorf("it was let go after %v, though it gave signs of life", lasted)
	}
}

func TestAFarewellIsNotPutOffByLateWords(t *testing.T) {
	t.Parallel()
	f, client := followed(t, time.Hour)
	f.heard = make(chan struct{})
	go func() { defer close(f.heard); f.input.hear() }()
	go func() {
		for w := api.NewFrameWriter(client); w.Write(api.FramePing) == nil; {
			time.Sleep(100 * time.Millisecond)
		}
	}()
	began := time.Now()
	f.leave()
	if took := time.Since(began); took > 2*farewell {
		t.Errorf("took %v", took)
	}
}

func TestAClientIsAskedForASignOfLife(t *testing.T) {
	t.Parallel()
	f, client := followed(t, 0)
	asking := make(chan time.Time, 1)
	asking <- time.Now()
	if err := f.await(true, asking); err != nil {
		t.Fatal(err)
	}
	if frame, err := api.ReadFrame(client, nil); err != nil || frame.Type != api.FramePing {
		t.Errorf("got %v, %v", frame.Type, err)
	}
}
