package remote

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// maxOrders bounds the signals that wait for a line.
const maxOrders = 32

// voice is what a client has to say to its job: input, signals, the size of its terminal. It
// outlives sessions: what the last one did not get across the next one says again.
type voice struct {
	input string // names the client's input to the host

	mu     sync.Mutex
	change *sync.Cond
	silent bool // no session is speaking, or it must stop
	in     stdin
	size   *api.Resize // the newest; nil: never told
	sized  bool        // the present session has told it
	orders []order     // not acknowledged, oldest first
	given  int         // how many of them the present session has sent
	seq    uint64      // of the last order
}

// order is a signal or a cancellation. A ping follows it, whose answer says that it was heard.
type order struct {
	frame   api.FrameType
	payload []byte
	seq     uint64
}

// newVoice returns the voice of a client whose input begins at from; -1: where the host says.
func newVoice(f *api.Follow, from int64) *voice {
	v := &voice{silent: true, in: stdin{from: from}}
	v.change = sync.NewCond(&v.mu)
	if f != nil {
		v.input = f.Input
	}
	if v.input == "" {
		v.in.err = io.ErrClosedPipe
	}
	return v
}

// speak says everything over one session until the function it returns is called. fresh means
// that the host has the input from its very begin and needs no word of who owns it.
func (v *voice) speak(w *api.FrameWriter, fresh bool) (stop func()) {
	v.mu.Lock()
	v.silent, v.sized, v.given = false, false, 0
	v.in.begin(fresh)
	v.mu.Unlock()
	var said sync.WaitGroup
	said.Go(func() {
		for say := v.next(); say != nil; say = v.next() {
			if say(w) != nil {
				return // who reads learns of the broken line
			}
		}
	})
	return func() {
		v.mu.Lock()
		v.silent = true
		v.change.Broadcast()
		v.mu.Unlock()
		said.Wait()
	}
}

// next waits for something to say; nil: the session is over. Input comes last.
func (v *voice) next() func(*api.FrameWriter) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for !v.silent {
		if v.size != nil && !v.sized {
			v.sized = true
			size := *v.size
			return func(w *api.FrameWriter) error { return w.JSON(api.FrameResize, size) }
		}
		if v.given < len(v.orders) {
			v.given++
			return v.orders[v.given-1].say
		}
		if off, data := v.in.next(); len(data) > 0 {
			v.in.sent += int64(len(data))
			data = append([]byte(nil), data...)
			return func(w *api.FrameWriter) error { return w.Offset(api.FrameStdin, off, data) }
		}
		if end, over := v.in.over(); over {
			v.in.told = true
			return func(w *api.FrameWriter) error { return w.Offset(api.FrameStdinEnd, end, nil) }
		}
		v.change.Wait()
	}
	return nil
}

func (o order) say(w *api.FrameWriter) error {
	if err := w.Write(o.frame, o.payload); err != nil {
		return err
	}
	return w.Write(api.FramePing, binary.BigEndian.AppendUint64(nil, o.seq))
}

// order has one more signal or cancellation sent.
func (v *voice) order(t api.FrameType, what any) error {
	payload, err := json.Marshal(what)
	if err != nil {
		return fmt.Errorf("unable to write frame of type %d: %w", t, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.orders) == maxOrders {
		return api.Errorf(api.Unreachable, "", "%d signals wait for the line to come back", maxOrders)
	}
	v.seq++
	v.orders = append(v.orders, order{t, payload, v.seq})
	v.change.Broadcast()
	return nil
}

// resize has the newest size told, now and to each later session.
func (v *voice) resize(size api.Resize) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.size, v.sized = &size, false
	v.change.Broadcast()
}

// answered takes the answer to a ping.
func (v *voice) answered(payload []byte) {
	if len(payload) != 8 {
		return // one that only asked for a sign of life
	}
	seq := binary.BigEndian.Uint64(payload)
	v.mu.Lock()
	defer v.mu.Unlock()
	for len(v.orders) > 0 && v.orders[0].seq <= seq {
		v.orders = v.orders[1:]
		v.given = max(0, v.given-1)
	}
}

func (v *voice) acknowledge(off int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.in.drop(min(off, v.in.sent))
	v.change.Broadcast()
}

// owned takes the host's word of whose input the job takes, and tells whether it has just
// become another client's.
func (v *voice) owned(o api.StdinOwner) (taken bool) {
	v.mu.Lock()
	open := v.in.err == nil
	ours := o.Input == v.input && open && v.in.owned(o.Received)
	v.change.Broadcast()
	v.mu.Unlock()
	if !ours {
		v.shut()
	}
	return open && o.Input != v.input
}

// shut says that the job takes no more input of this client.
func (v *voice) shut() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.in.err == nil {
		v.in.err, v.in.kept = io.ErrClosedPipe, nil
		v.in.sent = v.in.from
	}
	v.change.Broadcast()
}

// claim is how a Follow names this client's input: not at all once the job takes no more of it,
// lest a new line take the input back from whom it went to.
func (v *voice) claim() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.in.err != nil {
		return ""
	}
	return v.input
}
