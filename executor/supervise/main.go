//go:build linux

package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/space"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// Main is the verb "supervise": it runs the job that the document on stdin describes and returns
// the exit code of the supervisor itself, 0 when the job's manifest was written. The first line
// on started says "ready" once the control socket accepts, or why there will be none.
func Main(ctx context.Context, stdin io.Reader, started io.WriteCloser) int {
	signals := make(chan os.Signal, 8)
	// Catching them all also gives the job their defaults: what was ignored where the daemon
	// was started would stay ignored in every tool.
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGPIPE, unix.SIGUSR1, unix.SIGUSR2, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)
	defer signal.Stop(signals)
	if err := supervise(ctx, stdin, started, signals); err != nil {
		fmt.Fprintf(os.Stderr, "cyclopsd supervise: %v\n", err)
		if noRoom := (*noRoomError)(nil); errors.As(err, &noRoom) {
			return exitNoRoom
		}
		return 1
	}
	return 0
}

func supervise(ctx context.Context, stdin io.Reader, started io.WriteCloser, signals <-chan os.Signal) error {
	s, c, err := begin(ctx, stdin)
	if err != nil {
		fmt.Fprintf(started, "%v\n", err)
		return errors.Join(err, started.Close())
	}
	c.serve(s)
	watch := make(chan struct{})
	go s.heed(ctx, signals, watch)
	err = failpoint.Do(failpoint.SuperviseReady, func() error { _, err := io.WriteString(started, ready); return err })
	err = errors.Join(err, started.Close(), s.run(ctx))
	close(watch)
	return errors.Join(err, c.close())
}

// begin does what must have worked before the daemon may take the job for running.
func begin(ctx context.Context, stdin io.Reader) (*supervisor, *control, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, nil, fmt.Errorf("unable to adopt orphans: %w", err)
	}
	l, j, err := readLaunch(stdin)
	if err != nil {
		return nil, nil, err
	}
	s, err := newSupervisor(ctx, l, j)
	if err != nil {
		return nil, nil, l.unbegun(j.ID, err)
	}
	c, err := listen(l.Data, j.ID, s.board)
	return s, c, l.unbegun(j.ID, err)
}

// unbegun makes a start of which the disk had no room for all as if it had not been: the job waits
// until there is room, and begins then.
func (l *Launch) unbegun(id string, err error) error {
	if !space.IsFull(err) {
		return err
	}
	for _, path := range []string{l.Data.Manifest(id) + partial, l.Data.Log(id), l.Data.LogIndex(id), l.Data.Control(id), l.Data.Claim(id, l.Attempt)} {
		if rerr := os.Remove(path); rerr != nil && !errors.Is(rerr, os.ErrNotExist) {
			return errors.Join(err, rerr)
		}
	}
	return &noRoomError{err}
}

// heed turns the end of the machine or of the user's session into the end of the job.
func (s *supervisor) heed(ctx context.Context, signals <-chan os.Signal, done <-chan struct{}) {
	for {
		select {
		case sig := <-signals:
			if sig == unix.SIGTERM {
				s.stop.request(manifest.Cancelled, "the host ended it: its supervisor got SIGTERM", s.grace())
			}
		case <-ctx.Done():
			s.stop.request(manifest.Cancelled, "the host ended it", s.grace())
			return
		case <-done:
			return
		}
	}
}
