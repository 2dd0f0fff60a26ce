//go:build linux

package supervise

import (
	"errors"
	"fmt"

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
	wake, stop int // a pipe whose closing says that no process writes any more
	done       chan struct{}
	buf        []byte
	lost       int64 // bytes that did not fit on the disk
	failure    error // the first
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

func newOutput(log *joblog.Writer, grew func(int64)) (*output, error) {
	var stop [2]int
	o := &output{log: log, grew: grew, done: make(chan struct{}), buf: make([]byte, pipeSize)}
	var e1, e2 error
	o.out, e1 = newPipe(true)
	o.err, e2 = newPipe(true)
	if err := errors.Join(e1, e2, unix.Pipe2(stop[:], unix.O_CLOEXEC)); err != nil {
		return nil, err
	}
	o.wake, o.stop = stop[0], stop[1]
	for _, p := range []*pipe{o.out, o.err} {
		_, _ = unix.FcntlInt(uintptr(p.ours), unix.F_SETPIPE_SZ, pipeSize) // beyond the user's share it stays small
	}
	go o.run()
	return o, nil
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
	n, err := unix.Read(p.ours, o.buf)
	if err != nil || n <= 0 {
		return 0
	}
	o.append(stream, o.buf[:n])
	return n
}

// append never stops reading when the disk is full: a job that is blocked in a write would hang.
func (o *output) append(stream uint8, data []byte) {
	if o.lost > 0 {
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

func (o *output) fail(n int, err error) {
	o.lost += int64(n)
	if o.failure == nil {
		o.failure = err
	}
}

func (o *output) drain() {
	for left := drainMax; left > 0; {
		n := o.take(o.out, api.Stdout) + o.take(o.err, api.Stderr)
		if n == 0 {
			return
		}
		left -= n
	}
}

// say writes a message to the job's own error stream, behind all that was written there.
func (o *output) say(message string) {
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
	for _, fd := range []int{o.out.ours, o.out.theirs, o.err.ours, o.err.theirs, o.wake} {
		unix.Close(fd)
	}
	return o.failure
}
