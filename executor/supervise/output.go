//go:build linux

package supervise

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/joblog"
)

const (
	pipeSize = 256 << 10
	drainMax = 64 << 20 // bytes taken in after the end, should something escape and go on writing
)

// output moves what the job writes into the log. One pipe for each stream serves all steps, as
// in a shell script; the write ends stay open here, so the end is told by finish.
type output struct {
	log        *joblog.Writer
	grew       func(size int64)
	out, err   *pipe
	term       *terminal // takes the place of both pipes; nil: none
	wake, stop int       // a pipe whose closing says that no process writes any more
	done       chan struct{}
	buf        []byte
	lost       int64 // bytes that did not fit on the disk
	failure    error // the first
	limit      logLimit
	over       bool // the job wrote more than its log may hold; read behind finish
}

// logLimit is the size that a log may have, 0 for any, and what is called once when it would get larger.
type logLimit struct {
	size int64
	over func()
}

// pipe is a pipe to a job; the job's end blocks, ours does not.
type pipe struct{ ours, theirs int }

func newPipe(weRead bool) (*pipe, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("unable to make a pipe: %w", err)
	}
	pp := &pipe{ours: p[0], theirs: p[1]}
	if !weRead {
		pp.ours, pp.theirs = p[1], p[0]
	}
	return pp, unix.SetNonblock(pp.ours, true)
}

func newOutput(log *joblog.Writer, term *terminal, grew func(int64), limit logLimit) (*output, error) {
	var stop [2]int
	o := &output{log: log, term: term, grew: grew, limit: limit, done: make(chan struct{}), buf: make([]byte, pipeSize)}
	if err := errors.Join(o.open(), unix.Pipe2(stop[:], unix.O_CLOEXEC)); err != nil {
		return nil, err
	}
	o.wake, o.stop = stop[0], stop[1]
	go o.run()
	return o, nil
}

func (o *output) open() error {
	if o.term != nil {
		o.out, o.err = &pipe{ours: o.term.fd, theirs: o.term.theirs}, &pipe{ours: -1, theirs: o.term.theirs}
		return nil
	}
	var e1, e2 error
	o.out, e1 = newPipe(true)
	o.err, e2 = newPipe(true)
	if err := errors.Join(e1, e2); err != nil {
		return err
	}
	for _, p := range []*pipe{o.out, o.err} {
		_, _ = unix.FcntlInt(uintptr(p.ours), unix.F_SETPIPE_SZ, pipeSize) // beyond the user's share it stays small
	}
	return nil
}

// run blocks a thread in poll, which wakes for either stream in the order of the writes as well
// as that can be seen.
func (o *output) run() {
	defer close(o.done)
	fds := []unix.PollFd{
		{Fd: int32(o.out.ours), Events: unix.POLLIN},
		{Fd: int32(o.err.ours), Events: unix.POLLIN},
		{Fd: int32(o.wake), Events: unix.POLLIN},
	}
	for {
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
			o.fail(0, err)
			return
		}
		if fds[2].Revents != 0 {
			o.drain()
			return
		}
		if fds[0].Revents != 0 {
			o.take(o.out, api.Stdout)
		}
		if fds[1].Revents != 0 {
			o.take(o.err, api.Stderr)
		}
	}
}

// take moves what one read gives and returns how much that was.
func (o *output) take(p *pipe, stream uint8) int {
	if o.term != nil {
		return o.takeTerminal()
	}
	n, err := unix.Read(p.ours, o.buf)
	if err != nil || n <= 0 {
		return 0
	}
	o.append(stream, o.buf[:n])
	return n
}

// append never stops reading when the disk is full, or the log as large as it may be: a job that is
// blocked in a write would hang.
func (o *output) append(stream uint8, data []byte) {
	if data = o.within(data); len(data) == 0 {
		return
	}
	if o.lost > 0 && !o.over {
		note := fmt.Sprintf("\ncyclops: %d bytes of output are missing here: %v\n", o.lost, o.failure)
		if o.log.Append(api.Stderr, []byte(note)) == nil {
			o.lost = 0
		}
	}
	if err := o.log.Append(stream, data); err != nil {
		o.fail(len(data), err)
		return
	}
	o.grew(o.log.Size())
}

// within returns of data what the log may still take.
func (o *output) within(data []byte) []byte {
	left := o.limit.size - o.log.Size()
	if o.limit.size == 0 || int64(len(data)) <= left {
		return data
	}
	if !o.over {
		o.over = true
		o.limit.over()
	}
	return data[:max(left, 0)]
}

func (o *output) fail(n int, err error) {
	o.lost += int64(n)
	if o.failure == nil {
		o.failure = err
	}
}

// takeTerminal gathers the small pieces that a terminal gives.
func (o *output) takeTerminal() int {
	n := o.term.read(o.buf)
	if n > 0 {
		o.append(api.Stdout, o.buf[:n])
	}
	return n
}

func (o *output) drain() {
	if o.term != nil {
		o.drainTerminal()
		return
	}
	for left := drainMax; left > 0; {
		n := o.take(o.out, api.Stdout) + o.take(o.err, api.Stderr)
		if n == 0 {
			return
		}
		left -= n
	}
}

// markWait is how long the last bytes of a terminal may take to come through the kernel.
const markWait = 2 * time.Second

// drainTerminal reads until a mark that it writes itself behind all that the job wrote comes out:
// kernels before 4.5 call a terminal empty while bytes are still on their way through it.
func (o *output) drainTerminal() {
	for left := drainMax; left > 0; {
		n := o.takeTerminal()
		if left -= n; n == 0 {
			break
		}
	}
	mark := rand.Text()
	_ = unix.SetNonblock(o.out.theirs, true) // should something escaped fill the terminal
	if o.term.print(mark) != nil {
		return
	}
	var rest []byte
	fds := []unix.PollFd{{Fd: int32(o.out.ours), Events: unix.POLLIN}}
	for deadline := time.Now().Add(markWait); !bytes.Contains(rest, []byte(mark)) && time.Now().Before(deadline); {
		_, _ = unix.Poll(fds, int(markWait.Milliseconds()))
		rest = append(rest, o.buf[:o.term.read(o.buf)]...)
	}
	if rest, _, _ = bytes.Cut(rest, []byte(mark)); len(rest) > 0 {
		o.append(api.Stdout, rest)
	}
}

// say writes a message to the job's own error stream, behind all that was written there.
func (o *output) say(message string) {
	if o.term != nil {
		_ = o.term.print(message)
		return
	}
	for b := []byte(message); len(b) > 0; {
		n, err := unix.Write(o.err.theirs, b)
		if err != nil && err != unix.EINTR {
			return
		}
		b = b[max(n, 0):]
	}
}

// finish takes in what is still in the pipes, which no living process writes to any more, and
// returns what went wrong on the way.
func (o *output) finish() error {
	unix.Close(o.stop)
	<-o.done
	unix.Close(o.wake)
	if o.term != nil {
		return errors.Join(o.failure, o.term.close())
	}
	for _, fd := range []int{o.out.ours, o.out.theirs, o.err.ours, o.err.theirs} {
		unix.Close(fd)
	}
	return o.failure
}
