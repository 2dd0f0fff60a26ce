//go:build linux

package daemon_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/daemon"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// listener accepts TCP connections on this machine, each served by serve.
func listener(t *testing.T, serve func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				serve(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

// forwarded is one connection through a job.
type forwarded struct {
	*net.UnixConn
	r *bufio.Reader
}

func (f *forwarded) Read(p []byte) (int, error) { return f.r.Read(p) }

// forward opens a connection through a job, or returns what the daemon answered.
func (h *host) forward(id, to string) (*forwarded, *api.Error) {
	h.Helper()
	conn, err := daemon.Dial(h.Context(), h.data)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	path := strings.Replace(api.PathForward, "{id}", id, 1) + "?to=" + url.QueryEscape(to)
	if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: %s\r\n%s: 1\r\n\r\n",
		path, api.ForwardProtocol, api.HeaderVersion); err != nil {
		h.Fatal(err)
	}
	f := &forwarded{conn.(*net.UnixConn), bufio.NewReader(conn)}
	response, err := http.ReadResponse(f.r, nil)
	if err != nil {
		h.Fatal(err)
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		return f, nil
	}
	defer response.Body.Close()
	e := new(api.Error)
	if err := json.NewDecoder(response.Body).Decode(e); err != nil || e.Message == "" {
		h.Fatalf("answered %s: %v", response.Status, err)
	}
	return nil, e
}

// The service answers only when it has seen the end of what it was sent: each direction ends by itself.
func TestForwardKeepsTheEndOfEachDirection(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	g := h.gate(job("", "w"))
	to := listener(t, func(c *net.TCPConn) {
		data, _ := io.ReadAll(c)
		c.Write(bytes.ToUpper(data))
		c.CloseWrite()
	})
	f, refused := h.forward(g.id, to)
	if refused != nil {
		t.Fatal(refused)
	}
	io.WriteString(f, "hello, ")
	io.WriteString(f, "board")
	f.CloseWrite()
	if got, err := io.ReadAll(f); err != nil || string(got) != "HELLO, BOARD" {
		t.Errorf("got %q, %v", got, err)
	}
	g.open()
	g.drain()
}

func TestHundredForwardsAtOnce(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	g := h.gate(job("", "w"))
	to := listener(t, func(c *net.TCPConn) { io.Copy(c, c) })
	var wg sync.WaitGroup
	for range 100 {
		f, refused := h.forward(g.id, to)
		if refused != nil {
			t.Fatal(refused)
		}
		wg.Go(func() {
			data := make([]byte, 300<<10)
			rand.Read(data)
			go func() {
				f.Write(data)
				f.CloseWrite()
			}()
			if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes came back of %d: %v", len(got), len(data), err)
			}
		})
	}
	wg.Wait()
	g.open()
	g.drain()
}

func TestForwardEndsWithItsJob(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	g := h.gate(job("", "w"))
	closed := make(chan error, 1)
	to := listener(t, func(c *net.TCPConn) {
		io.WriteString(c, "ready")
		_, err := io.Copy(io.Discard, c)
		closed <- err
	})
	f, refused := h.forward(g.id, to)
	if refused != nil {
		t.Fatal(refused)
	}
	if _, err := io.ReadFull(f, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	g.open()
	g.drain()
	if n, err := f.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes came after the end", n)
	}
	if err := <-closed; err == nil {
		t.Error("the service saw an end instead of a reset")
	}
	if _, refused := h.forward(g.id, to); refused == nil || refused.Kind != api.Conflict || !strings.Contains(refused.Message, "has ended") {
		t.Errorf("after the end: %v", refused)
	}
}

// What a service wrote before its job ended must arrive, however slowly it is read.
func TestForwardDeliversWhatAJobWroteLast(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	g := h.gate(job("", "w"))
	data := make([]byte, 8<<20)
	rand.Read(data)
	to := listener(t, func(c *net.TCPConn) { c.Write(data) })
	f, refused := h.forward(g.id, to)
	if refused != nil {
		t.Fatal(refused)
	}
	g.open()
	g.drain()
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes came of %d: %v", len(got), len(data), err)
	}
}

func TestForwardSaysWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 1\n")
	g := h.gate(job("", "w"))
	waiting := job("true", "v")
	w := h.submit(waiting, everything)
	free := listener(t, func(*net.TCPConn) {})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	for _, c := range []struct {
		id, to string
		kind   api.Kind
		says   string
	}{
		{waiting.ID, free, api.Conflict, "is queued"},
		{g.id, nobody, api.Unreachable, "nothing listens at " + nobody + " on "},
		{g.id, "localhost", api.Invalid, "names no port"},
		{g.id, "localhost:0", api.Invalid, "is no port"},
		{g.id, "localhost:65536", api.Invalid, "is no port"},
		{g.id, "local host:1", api.Invalid, "no name of a host"},
		{g.id, "::1:80", api.Invalid, "names no port"},
		{manifest.NewID(), free, api.NotFound, "has no job"},
		{"x", free, api.Invalid, "no whole job id"},
	} {
		if _, e := h.forward(c.id, c.to); e == nil || e.Kind != c.kind || !strings.Contains(e.Message, c.says) {
			t.Errorf("%s: got %v, want %q", c.to, e, c.says)
		}
	}
	if e := h.call("POST", strings.Replace(api.PathForward, "{id}", g.id, 1)+"?to="+free, nil, nil); e == nil || !strings.Contains(e.Message, "Upgrade") {
		t.Errorf("without an upgrade: %v", e)
	}
	g.open()
	g.drain()
	w.drain()
}

func TestForwardsOfAJobAreBounded(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	g := h.gate(job("", "w"))
	to := listener(t, func(c *net.TCPConn) { io.Copy(c, c) })
	var open []*forwarded
	for range api.MaxForwards {
		f, refused := h.forward(g.id, to)
		if refused != nil {
			t.Fatal(refused)
		}
		open = append(open, f)
	}
	if _, refused := h.forward(g.id, to); refused == nil || refused.Kind != api.Refused {
		t.Errorf("one too many: %v", refused)
	}
	open[0].CloseWrite()
	if _, err := io.ReadAll(open[0]); err != nil {
		t.Error(err)
	}
	g.open()
	g.drain()
}

func TestForwardEndsWhenTheDaemonLeaves(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	g := h.gate(job("", "w"))
	to := listener(t, func(c *net.TCPConn) { io.Copy(c, c) })
	f, refused := h.forward(g.id, to)
	if refused != nil {
		t.Fatal(refused)
	}
	h.halt()
	if _, err := f.Read(make([]byte, 1)); err == nil {
		t.Error("it goes on")
	}
	h.start()
	if _, refused := h.forward(g.id, to); refused != nil {
		t.Errorf("after the restart: %v", refused)
	}
	g.open()
	h.follow(api.Follow{Job: g.id}).drain()
}
