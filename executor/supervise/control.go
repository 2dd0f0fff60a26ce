//go:build linux

package supervise

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

const (
	maxControl = 32              // connections at once
	farewell   = 2 * time.Second // for a connection to take the last frames
)

// orders is what a connection may ask of the job.
type orders interface {
	signal(sig unix.Signal)
	cancel(req api.CancelRequest)
	resize(size api.Resize)
	stdin() *input // nil: the job has none
}

// control serves a job's control socket.
type control struct {
	listener *net.UnixListener
	path     string
	id       string
	board    *board
	orders   orders
	wg       sync.WaitGroup
	ended    chan struct{} // closed when there is nothing more to tell
	slots    chan struct{}
}

// listen makes the socket; serve must follow. A socket that is there is a dead supervisor's:
// the daemon starts a job once.
func listen(data layout.Data, id string, b *board) (*control, error) {
	dir, path, err := socketPath(data, id)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("unable to make control socket: %w", err)
	}
	if err := failpoint.At(failpoint.SuperviseListen); err != nil {
		return nil, fmt.Errorf("unable to make control socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("unable to make control socket: %w", err)
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("unable to make control socket: %w", err), l.Close())
	}
	return &control{listener: l, path: data.Control(id), id: id, board: b, ended: make(chan struct{}), slots: make(chan struct{}, maxControl)}, nil
}

func (c *control) serve(o orders) {
	c.orders = o
	c.wg.Go(func() {
		for {
			conn, err := c.listener.AcceptUnix()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			select {
			case c.slots <- struct{}{}:
				c.wg.Go(func() { c.talk(conn); <-c.slots })
			default:
				conn.Close()
			}
		}
	})
}

// close tells every connection the last state, closes them and removes the socket.
func (c *control) close() error {
	err := errors.Join(failpoint.At(failpoint.ControlClose), c.listener.Close())
	if gone := os.Remove(c.path); !errors.Is(gone, os.ErrNotExist) { // a daemon that starts takes it away too
		err = errors.Join(err, gone)
	}
	close(c.ended)
	c.wg.Wait()
	return err
}

// talk serves one connection: a goroutine that hears, and this one, which tells.
func (c *control) talk(conn net.Conn) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w := api.NewFrameWriter(conn)
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		defer cancel()
		if err := c.hear(conn, w); err != nil {
			_ = w.Error(err)
		}
	}()
	c.tell(ctx, conn, w)
	conn.Close()
	<-heard
}

// tell sends what changes on the board until the job has ended or the other side has left.
func (c *control) tell(ctx context.Context, conn net.Conn, w *api.FrameWriter) {
	changed, leave := c.board.watch()
	defer leave()
	var said notice
	hello := api.ControlHello{Control: api.ControlVersion, Job: c.id, PID: os.Getpid(), Stdin: c.board.read().stdin}
	if w.JSON(api.FrameControl, hello) != nil {
		return
	}
	for {
		select {
		case <-changed:
			before := said
			if said = c.news(w, said); said.version == 0 {
				return
			}
			if said.logSize != before.logSize {
				c.rest(ctx)
			}
		case <-c.ended:
			_ = conn.SetWriteDeadline(time.Now().Add(farewell))
			c.news(w, said)
			return
		case <-ctx.Done():
			return
		}
	}
}

// growthPause is how long a connection that was told of the log's growth is told nothing more: a
// tool that writes without end would else wake the daemon and each who watches for every few
// kilobytes, and nobody sees a line sooner for it.
const growthPause = time.Millisecond

func (c *control) rest(ctx context.Context) {
	select {
	case <-time.After(growthPause):
	case <-c.ended:
	case <-ctx.Done():
	}
}

// news sends what differs from said and returns what was said then; a zero notice means that
// the connection is gone.
func (c *control) news(w *api.FrameWriter, said notice) notice {
	now := c.board.read()
	var errs [4]error
	if now.version != said.version {
		errs[0] = w.JSON(api.FrameState, now.info)
	}
	if now.logSize != said.logSize {
		errs[1] = w.Offset(api.FrameGrew, now.logSize, nil)
	}
	if now.stdin != said.stdin {
		errs[2] = w.Offset(api.FrameStdinAck, now.stdin, nil)
	}
	if now.closed && !said.closed {
		errs[3] = w.Write(api.FrameStdinClosed)
	}
	if errors.Join(errs[:]...) != nil {
		return notice{}
	}
	return now
}

// hear obeys what comes in until the other side leaves.
func (c *control) hear(conn net.Conn, w *api.FrameWriter) error {
	r := bufio.NewReaderSize(conn, 32<<10)
	buf := make([]byte, 4096)
	for {
		f, err := api.ReadFrame(r, buf)
		if err != nil {
			return nil // the daemon may be killed at any time; the job goes on
		}
		if err := c.obey(f, w); err != nil {
			return err
		}
	}
}

func (c *control) obey(f api.Frame, w *api.FrameWriter) error {
	switch f.Type {
	case api.FrameStdin, api.FrameStdinEnd:
		return c.takeInput(f)
	case api.FrameStdinTake:
		return c.giveInput(f, w)
	case api.FrameSignal:
		return c.takeSignal(f)
	case api.FrameResize:
		var size api.Resize
		if err := f.JSON(&size); err != nil {
			return err
		}
		c.orders.resize(size)
	case api.FrameCancel:
		var req api.CancelRequest
		if err := f.JSON(&req); err != nil {
			return err
		}
		c.orders.cancel(req)
	case api.FramePing:
		return w.Write(api.FramePong, f.Payload)
	}
	return nil // a newer daemon may say more
}

func (c *control) takeInput(f api.Frame) error {
	offset, data, err := f.Offset()
	in := c.orders.stdin()
	if err != nil || in == nil {
		return err
	}
	if f.Type == api.FrameStdinEnd {
		in.finish(offset)
		return nil
	}
	return in.add(offset, data)
}

// giveInput answers each request for the input in its turn, so that whoever asks knows which of
// the frames around it still count.
func (c *control) giveInput(f api.Frame, w *api.FrameWriter) error {
	var in api.StdinTake
	if err := f.JSON(&in); err != nil {
		return err
	}
	var owner api.StdinOwner // nobody, of a job without input
	if stdin := c.orders.stdin(); stdin != nil {
		owner = stdin.take(in.Input)
	}
	return w.JSON(api.FrameStdinOwner, owner)
}

func (c *control) takeSignal(f api.Frame) error {
	var s api.Signal
	if err := f.JSON(&s); err != nil {
		return err
	}
	sig := unix.SignalNum("SIG" + s.Name)
	if sig == 0 {
		return api.Errorf(api.Invalid, "", "there is no signal %q", s.Name)
	}
	c.orders.signal(sig)
	return nil
}
