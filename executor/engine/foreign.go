//go:build linux

package engine

import (
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// foreignError says that a supervisor speaks another version of the control protocol; 0: one that
// does not even say so as this one does.
type foreignError struct{ version int }

func (f *foreignError) Error() string {
	return fmt.Sprintf("its supervisor speaks version %d of the control protocol, executor %s speaks %d: what it does is seen when it has ended",
		f.version, api.BuildVersion(), api.ControlVersion)
}

// foreigner is a supervisor of another version. All that is asked of it is what every process
// understands.
type foreigner struct {
	pid int
	err error
}

// standBy waits until a supervisor of another version has left. The manifest that it writes tells the
// rest; that it cannot be understood is no reason to end its job.
func (e *Engine) standBy(j *job, conn net.Conn, foreign *foreignError) {
	e.Log.Warn("a job is followed by its manifest alone", "job", j.row.ID, "reason", foreign)
	f := &foreigner{pid: peer(conn), err: foreign}
	e.mu.Lock()
	j.foreign = f
	cancel := j.cancel != nil
	j.row.About.Warnings = []string{foreign.Error()}
	j.changed()
	e.mu.Unlock()
	if cancel {
		if err := f.end(); err != nil {
			e.Log.Warn("a job was not cancelled", "job", j.row.ID, "error", err)
		}
	}
	_, _ = io.Copy(io.Discard, conn)
	if e.ctx.Err() == nil && !e.hasManifest(j) {
		e.pause() // one that hangs up at once must not be asked without end
	}
}

// leave leaves a job to a later daemon, which can read how it ended: one that was called lost meanwhile would be lost for
// good. It holds nothing any more, and what is to come after it waits.
func (e *Engine) leave(j *job, version *manifest.VersionError) {
	err := fmt.Errorf("it has ended, and only a later executor can tell how: %w", version)
	e.Log.Warn("a job is left to a later executor", "job", j.row.ID, "reason", err)
	j.pins.Release()
	e.mu.Lock()
	defer e.mu.Unlock()
	j.foreign = &foreigner{err: err}
	j.row.About.Warnings = []string{err.Error()}
	j.changed()
	e.queue.Leave(j.row.ID)
	e.startNext()
	e.standingsChanged()
}

// peer is the process at the other end, or 0.
func peer(conn net.Conn) (pid int) {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid
}

// end has the supervisor end its job, as it does when the machine goes down. A nil foreigner is none.
func (f *foreigner) end() error {
	switch {
	case f == nil:
		return nil
	case f.pid <= 1:
		return api.Errorf(api.Incompatible, "cyclops install HOST brings an executor that understands it", "unable to cancel the job: %w", f.err)
	}
	if err := unix.Kill(f.pid, unix.SIGTERM); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("unable to cancel the job: %w", err)
	}
	return nil
}
