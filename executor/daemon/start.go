//go:build linux

package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/layout"
)

// readyVariable tells a daemon which descriptor to say "ready" on; heldVariable, which one holds
// the start lock that it inherits.
const (
	readyVariable = "CYCLOPS_READY_FD"
	heldVariable  = "CYCLOPS_START_FD"
	ready         = "ready\n"
)

// startLimit is how long a daemon may take until it answers.
const startLimit = 30 * time.Second

// Ensure starts a daemon unless one answers. self is the argv of this binary in the executor's role.
func Ensure(ctx context.Context, d layout.Data, self []string) error {
	if answers(ctx, d) {
		return nil
	}
	if err := d.Create(); err != nil {
		return fmt.Errorf("unable to make %s: %w", d, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	lock, err := flock(ctx, startLock(d))
	if err != nil {
		return explainDisk(d, err)
	}
	defer lock.Close()
	if answers(ctx, d) {
		return nil
	}
	err = spawn(ctx, d, self, lock)
	if errors.Is(err, errEnded) {
		err = spawn(ctx, d, self, lock) // somebody killed it: what ails it, it would have said
	}
	if err != nil && !answers(ctx, d) {
		return err
	}
	return nil
}

// errEnded says that a daemon ended before it said anything.
var errEnded = errors.New("it ended at once")

// spawn starts a daemon in a session of its own and waits until it answers.
func spawn(ctx context.Context, d layout.Data, self []string, lock *os.File) error {
	log, err := openLog(d)
	if err != nil {
		return explainDisk(d, err)
	}
	defer log.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("unable to start daemon: %w", err)
	}
	defer r.Close()
	self = program(d, self)
	cmd := exec.Command(self[0], append(self[1:len(self):len(self)], "serve", "--data", string(d))...)
	cmd.Args[0] = "cyclopsd" // for whoever looks at the list of processes
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, "/"
	cmd.ExtraFiles = []*os.File{w, lock}
	cmd.Env = append(os.Environ(), readyVariable+"=3", heldVariable+"=4")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return fmt.Errorf("unable to start daemon: %w", err)
	}
	return errors.Join(awaitReady(ctx, r), cmd.Process.Release())
}

// program is what a daemon is started of. Of the executors that were installed there it is the current
// one: another may have become that since this process began.
func program(d layout.Data, self []string) []string {
	own, err := os.Readlink(self[0])
	if err != nil {
		own = self[0]
	}
	bin, err := filepath.EvalSymlinks(d.Bin())
	current := filepath.Join(d.Bin(), "current")
	if _, serr := os.Stat(current); err != nil || serr != nil || filepath.Dir(own) != bin {
		return self
	}
	return append([]string{current}, self[1:]...)
}

func awaitReady(ctx context.Context, r *os.File) error {
	stop := context.AfterFunc(ctx, func() { r.Close() })
	defer stop()
	line, _ := bufio.NewReader(io.LimitReader(r, 64<<10)).ReadString('\n')
	switch {
	case line == ready:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("unable to start daemon: %w", context.Cause(ctx))
	case line != "":
		return decodeError(line)
	}
	return api.Errorf(api.Internal, "its log is cyclopsd.log in the data directory", "unable to start daemon: %w", errEnded)
}

// maxLog is the size in bytes from which a daemon's log is begun anew.
const maxLog = 4 << 20

// openLog opens the daemon's own log, keeping one older one.
func openLog(d layout.Data) (*os.File, error) {
	if info, err := os.Stat(d.DaemonLog()); err == nil && info.Size() > maxLog {
		if err := os.Rename(d.DaemonLog(), d.DaemonLog()+".old"); err != nil {
			return nil, fmt.Errorf("unable to open the daemon's log: %w", err)
		}
	}
	f, err := os.OpenFile(d.DaemonLog(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("unable to open the daemon's log: %w", err)
	}
	return f, nil
}

// inherited returns a descriptor that spawn passed, and takes its name out of the environment,
// which jobs get.
func inherited(variable string) *os.File {
	value := os.Getenv(variable)
	os.Unsetenv(variable)
	var fd uintptr
	if _, err := fmt.Sscan(value, &fd); err != nil || fd < 3 || strings.TrimSpace(value) == "" {
		return nil
	}
	syscall.CloseOnExec(int(fd))
	return os.NewFile(fd, variable)
}
