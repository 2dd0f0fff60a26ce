//go:build linux

package supervise

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/command"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// runSteps runs one step after another until one fails or the job is stopped.
func (s *supervisor) runSteps(env []string, dir string) error {
	for i, step := range s.job.Steps {
		if s.stop.ctx.Err() != nil {
			return nil
		}
		rec := &s.record.Steps[i]
		begun := now()
		rec.Started = &begun
		if i > 0 && s.in != nil {
			s.in.again()
		}
		s.showStep(i)
		err := s.runStep(step, rec, env, dir, i == len(s.job.Steps)-1)
		ended := now()
		rec.Ended = &ended
		s.showStep(i)
		if err != nil || rec.ExitCode == nil || *rec.ExitCode != 0 {
			return err
		}
	}
	return nil
}

// showStep tells where the job is.
func (s *supervisor) showStep(i int) {
	steps := make([]api.StepInfo, len(s.record.Steps))
	for k, r := range s.record.Steps {
		steps[k] = api.StepInfo{Name: r.Name, Started: r.Started, Ended: r.Ended, ExitCode: r.ExitCode}
	}
	s.board.update(func(info *api.JobInfo) { info.Phase, info.Step, info.Steps = api.PhaseRunning, i, steps })
}

// runStep runs one step to its end and records how it ended. An error is ours, not the tool's.
func (s *supervisor) runStep(step manifest.Step, rec *manifest.StepRecord, env []string, dir string, last bool) error {
	pid, done, err := s.startStep(step, env, dir)
	if s.in != nil && last {
		s.in.last()
	}
	var no *command.Cannot
	if errors.As(err, &no) {
		s.out.say("cyclops: " + no.Error() + "\n")
		rec.ExitCode = &no.Code
		s.extra("notStarted", no.Error(), true)
		return nil
	}
	if err != nil {
		return err
	}
	s.group.set(pid)
	defer s.group.set(0)
	select {
	case status := <-done:
		ended(rec, status)
		return nil
	case <-s.stop.ctx.Done():
	}
	err = s.children.terminate(s.job.ID, s.stop.until)
	select {
	case status := <-done:
		ended(rec, status)
	default: // it survived KILL; err says so
	}
	return err
}

func ended(rec *manifest.StepRecord, status unix.WaitStatus) {
	if status.Signaled() {
		rec.Signal = signalName(status.Signal())
		return
	}
	code := status.ExitStatus()
	rec.ExitCode = &code
}

// signalName returns a signal's name without SIG.
func signalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); len(name) > 3 {
		return name[3:]
	}
	return fmt.Sprint(int(sig)) // a real-time signal
}

// commandOf returns the argv of a step.
func commandOf(s manifest.Step) []string {
	if s.Run != "" {
		return []string{"/bin/sh", "-c", s.Run}
	}
	return s.Words()
}

// startStep starts a step in a session of its own.
func (s *supervisor) startStep(step manifest.Step, env []string, dir string) (int, <-chan unix.WaitStatus, error) {
	if err := failpoint.At(failpoint.StepStart); err != nil {
		return 0, nil, fmt.Errorf("unable to start it: %w", err)
	}
	argv := commandOf(step)
	attr := &syscall.ProcAttr{
		Dir: dir, Env: env,
		Files: []uintptr{uintptr(s.stdinFor()), uintptr(s.out.out.theirs), uintptr(s.out.err.theirs)},
		Sys:   &syscall.SysProcAttr{Setsid: true, Setctty: s.term != nil}, // of its standard input
	}
	if s.place != nil {
		if pid, done, ok, err := s.startThere(argv, env, attr); ok || err != nil {
			return pid, done, err
		}
	}
	file, err := command.Find(argv[0], dir, env)
	if err != nil {
		return 0, nil, err
	}
	pid, done, err := s.children.start(file, argv, attr)
	if errors.Is(err, syscall.ENOEXEC) && command.Script(file, dir) {
		pid, done, err = s.children.start("/bin/sh", append([]string{"/bin/sh", file}, argv[1:]...), attr)
	}
	if err != nil {
		err = command.Refused(argv[0], file, dir, err)
	}
	return pid, done, err
}

func (s *supervisor) stdinFor() int {
	if s.term != nil {
		return s.out.out.theirs
	}
	if s.in != nil {
		return s.in.their
	}
	return int(s.null.Fd())
}

// foreground is the process group that signals go to, as a terminal's do.
type foreground struct {
	mu      sync.Mutex
	term    *terminal     // nil: the job has none
	pid     int           // 0: no step runs
	waiting []unix.Signal // that came before or between steps
}

// maxWaiting bounds how many signals wait for a step.
const maxWaiting = 32

// set names the group of the running step, 0 behind it, and passes on what waited for it.
func (f *foreground) set(pid int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pid = pid; pid == 0 {
		return
	}
	for _, sig := range f.waiting {
		unix.Kill(-pid, sig)
	}
	f.waiting = nil
}

func (f *foreground) signal(sig unix.Signal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pid != 0 {
		f.send(sig)
	} else if len(f.waiting) < maxWaiting {
		f.waiting = append(f.waiting, sig)
	}
}

// send gives a signal to those whom a key of the terminal would reach, else to the step's group.
func (f *foreground) send(sig unix.Signal) {
	if f.term != nil {
		if group := f.term.foreground(); group > 0 && unix.Kill(-group, sig) == nil {
			return
		}
	}
	unix.Kill(-f.pid, sig)
}

// signal passes a signal on to the running step. One that ends a command ends the preparing too.
func (s *supervisor) signal(sig unix.Signal) {
	if s.board.read().info.Phase != api.PhasePreparing {
		s.group.signal(sig)
		return
	}
	switch sig {
	case unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGKILL:
		s.stop.request(manifest.Cancelled, "interrupted before it started", 0)
	}
}

// cancel stops the job wherever it is.
func (s *supervisor) cancel(req api.CancelRequest) {
	grace := s.grace()
	if req.GraceSecs > 0 {
		grace = seconds(req.GraceSecs)
	}
	reason := req.Reason
	if reason == "" {
		reason = "cancelled"
	}
	s.stop.request(manifest.Cancelled, reason, grace)
}

// stdin is what takes a client's input; a job that asked for none has nothing that does.
func (s *supervisor) stdin() *input {
	if !s.job.Stdin {
		return nil
	}
	return s.in
}

func (s *supervisor) grace() time.Duration {
	if s.job.GraceSecs > 0 {
		return seconds(s.job.GraceSecs)
	}
	return defaultGrace
}

// seconds turns a document's seconds into a duration, a hundred years at most.
func seconds(n float64) time.Duration {
	return time.Duration(min(n, 100*365*24*3600) * float64(time.Second))
}

func now() time.Time { return time.Now().UTC() }

// openNull opens the empty input of a job that gets none.
func openNull() (*os.File, error) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("unable to open empty input: %w", err)
	}
	return f, nil
}
