package remote

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// mirror is a host that sends back what is forwarded to it.
type mirror struct{ net.Listener }

func newMirror(t *testing.T) mirror {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.ReadAtLeast(c, make([]byte, 4<<10), 1) // the request
				_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+api.ForwardProtocol+"\r\n\r\n")
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return mirror{l}
}

func (m mirror) Exchange(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", m.Addr().String())
}

// A tool that tries again and again, while the job is queued, must not take every place: neither
// by hanging up at once nor by asking something first.
func TestPlacesOfThoseWhoHungUp(t *testing.T) {
	t.Parallel()
	for name, word := range map[string]string{"at once": "", "after a word": "are you there"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := NewClient(newMirror(t)).NewForwarder(t.Context(), "job", func(_ string, err error) { t.Error(err) })
			defer f.Close()
			at, err := f.Listen(ForwardSpec{To: "localhost:1"})
			if err != nil {
				t.Fatal(err)
			}
			stays := dialTo(t, at, "first ")
			for i := range api.MaxForwards + 20 {
				dialTo(t, at, word).Close()
				if i%32 == 31 { // the kernel takes them long before they are accepted
					awaitQueued(t, f, dialTo(t, at, "mark")).Close()
				}
			}
			awaitQueued(t, f, dialTo(t, at, "last"))
			if _, err := io.WriteString(stays, "and last"); err != nil {
				t.Fatal(err)
			}
			_ = stays.CloseWrite()
			close(f.running)
			if got, err := io.ReadAll(stays); err != nil || string(got) != "first and last" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func dialTo(t *testing.T, at net.Addr, word string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", at.String())
	if err == nil {
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, err = io.WriteString(c, word)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// awaitQueued waits until c waits for the job: those that came before have places then, or had.
func awaitQueued(t *testing.T, f *Forwarder, c *net.TCPConn) *net.TCPConn {
	t.Helper()
	queued := func(w *waiting) bool {
		return w.tcpConn.(*net.TCPConn).RemoteAddr().String() == c.LocalAddr().String()
	}
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		f.mu.Lock()
		found := slices.ContainsFunc(f.queue, queued)
		f.mu.Unlock()
		if found {
			return c
		}
		if time.Since(start) > 10*time.Second {
			t.Fatal("a connection was not accepted")
		}
	}
}

// What was sent before the job ran arrives whole, also what is more than is kept.
func TestWhatIsSentBeforeTheJobRuns(t *testing.T) {
	t.Parallel()
	f := NewClient(newMirror(t)).NewForwarder(t.Context(), "job", func(_ string, err error) { t.Error(err) })
	defer f.Close()
	at, err := f.Listen(ForwardSpec{To: "localhost:1"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("forwarder.go")
	for err == nil && len(text) < 4*maxKept {
		text = append(text, text...)
	}
	c := dialTo(t, at, string(text[:maxKept/2]))
	go func() {
		_, _ = c.Write(text[maxKept/2:])
		_ = c.CloseWrite()
	}()
	for start := time.Now(); len(f.room) == 0 && time.Since(start) < 10*time.Second; time.Sleep(time.Millisecond) {
	}
	close(f.running)
	if got, err := io.ReadAll(c); err != nil || string(got) != string(text) {
		t.Errorf("%d of %d bytes, %v", len(got), len(text), err)
	}
}
