//go:build linux

package supervise

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// ready is the line with which a supervisor says that its control socket accepts.
const ready = "ready\n"

// exitNoRoom is the exit code of a supervisor that the disk has no room for. Its job did not begin
// and can be started again.
const exitNoRoom = 2

// noRoomError is why a supervisor ends with exitNoRoom.
type noRoomError struct{ error }

func (e *noRoomError) Unwrap() error { return e.error }

// Process is a supervisor that this process started.
type Process struct {
	PID  int
	done chan struct{}
	err  error
}

// Start starts a supervisor in a session of its own, so that it outlives this process, and
// returns when its control socket accepts, or when that takes too long to tell. An error means that
// the job did not begin. What the supervisor has to say goes to stderr.
func Start(ctx context.Context, l *Launch, stderr *os.File) (*Process, error) {
	doc, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("unable to start supervisor: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("unable to start supervisor: %w", err)
	}
	defer r.Close()
	argv := append(append([]string{}, l.Self...), "supervise")
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Args[0] = "cyclopsd" // for whoever looks at the list of processes
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Dir = bytes.NewReader(doc), w, stderr, string(l.Data)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = failpoint.Do(failpoint.LaunchStart, cmd.Start)
	w.Close()
	if err != nil {
		return nil, fmt.Errorf("unable to start supervisor: %w", err)
	}
	p := &Process{PID: cmd.Process.Pid, done: make(chan struct{})}
	go p.wait(cmd)
	return p, p.ready(ctx, l, r)
}

func (p *Process) wait(cmd *exec.Cmd) {
	p.err = cmd.Wait()
	close(p.done)
}

// ready waits for the supervisor's first line. An error means that it ended without having begun:
// while nobody knows that, it may run the job.
func (p *Process) ready(ctx context.Context, l *Launch, r *os.File) error {
	stop := context.AfterFunc(ctx, func() { r.Close() })
	defer stop()
	line, err := "", failpoint.At(failpoint.LaunchReady)
	if err == nil {
		line, err = bufio.NewReader(io.LimitReader(r, 4096)).ReadString('\n')
	}
	switch {
	case line != "" && line != ready:
		return p.refused(strings.TrimSpace(line))
	case line == "" && errors.Is(err, io.EOF):
		return p.endedAtOnce(l)
	}
	return nil
}

// refused is the error of a supervisor that said why it does not begin. Of one that the disk has no
// room for it is ENOSPC.
func (p *Process) refused(why string) error {
	var ended *exec.ExitError
	if errors.As(p.Wait(context.Background()), &ended) && ended.ExitCode() == exitNoRoom {
		return fmt.Errorf("unable to start supervisor: %s: %w", strings.TrimSuffix(why, ": "+unix.ENOSPC.Error()), unix.ENOSPC)
	}
	return fmt.Errorf("unable to start supervisor: %s", why)
}

func (p *Process) endedAtOnce(l *Launch) error {
	ended := p.Wait(context.Background())
	j, err := l.Document()
	if err == nil {
		if begun, _ := Begun(l.Data, j.ID); begun {
			return nil
		}
	}
	return fmt.Errorf("unable to start supervisor: it ended at once: %w", errors.Join(ended, err))
}

// Wait returns when the supervisor has ended, or with the error of ctx: one that was stopped may never end.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Dial connects to the control socket of a job's supervisor. It fails with ECONNREFUSED or
// ENOENT when there is none.
func Dial(ctx context.Context, data layout.Data, id string) (net.Conn, error) {
	dir, path, err := socketPath(data, id)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("unable to reach the supervisor of job %s: %w", id, err)
	}
	return conn, nil
}

// socketPath names a job's control socket through a descriptor of its directory: a data
// directory may lie deeper than an address of 108 bytes reaches.
func socketPath(data layout.Data, id string) (*os.File, string, error) {
	dir, err := os.Open(data.Run())
	if err != nil {
		return nil, "", fmt.Errorf("unable to reach the supervisor of job %s: %w", id, err)
	}
	return dir, fmt.Sprintf("/proc/self/fd/%d/%s.sock", dir.Fd(), id), nil
}
