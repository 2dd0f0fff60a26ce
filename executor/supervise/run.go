//go:build linux

package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/command"
	"github.com/cyclops-fpga/cyclops/executor/joblog"
	"github.com/cyclops-fpga/cyclops/executor/workspace"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// slimAfter is how long a job runs before the memory that preparing took is given back.
const slimAfter = time.Second

// supervisor runs one job from its launch to its manifest.
type supervisor struct {
	launch   *Launch
	job      *manifest.Job
	record   *manifest.Manifest
	board    *board
	stop     *stopper
	log      *joblog.Writer
	children *children
	out      *output
	in       *input
	null     *os.File
	term     *terminal        // nil: pipes
	noTerm   error            // why there is none although the job asks for it
	place    *place           // nil: the job sees its workspace where the host keeps it
	start    time.Time        // from which on a file's ctime makes it this job's
	applied  time.Time        // the same moment, by a clock that nobody sets
	share    *workspace.Share // of a concurrent job: its place in the workspace; held until the process ends
	final    *os.File         // becomes the manifest
	named    chan error       // from SyncNames
	group    foreground
	notes    []string // what else went wrong, for the reason
	limits   []limitRecord
	reached  []string // what of the host's the job used up, for the reason unless it succeeded all the same
	noMemory bool     // a process was killed because there was none left
}

func newSupervisor(ctx context.Context, l *Launch, j *manifest.Job) (*supervisor, error) {
	s := &supervisor{launch: l, job: j, record: l.blank(j), stop: newStopper(ctx)}
	started := now()
	s.record.Started = &started
	s.board = newBoard(api.JobInfo{
		ID: j.ID, Name: j.Name, State: manifest.Running, Phase: api.PhasePreparing, Accepted: l.Accepted,
		Started: &started, Snapshot: j.Input.Snapshot, Workspace: j.Workspace.Name, Location: l.Data.Job(j.ID),
		Terminal: j.Terminal != nil,
	})
	if err := l.claim(j.ID); err != nil {
		return nil, err
	}
	var err error
	if s.final, err = reserve(l.Data, j.ID); err != nil {
		return nil, err
	}
	s.log, err = joblog.Create(l.Data, j.ID)
	if err != nil {
		return nil, err
	}
	// Beside the job, so that it costs none of the job's time.
	s.named = make(chan error, 1)
	go func() { s.named <- SyncNames(l.Data, j.ID) }()
	s.giveTerminal(openTerminal)
	if s.out, err = newOutput(s.log, s.term, s.board.grew, logLimit{l.Limits.Log, s.overLog}); err != nil {
		return nil, err
	}
	return s, s.openInput()
}

// openInput opens what the steps read. A terminal has an input even if nobody sends any; it ends
// at once.
func (s *supervisor) openInput() (err error) {
	switch {
	case s.term != nil:
		if s.in, err = newTerminalInput(s.term, s.board); err == nil && !s.job.Stdin {
			s.in.finish(0)
		}
	case s.job.Stdin:
		s.in, err = newInput(s.board)
	default:
		s.null, err = openNull()
	}
	return err
}

// run is a job's life. Whatever goes wrong on the way ends up in the manifest.
func (s *supervisor) run(ctx context.Context) error {
	begun := time.Now()
	env, dir, err := s.prepare(s.stop.ctx)
	if err == nil {
		err = s.noTerm
	}
	if err == nil && s.stop.ctx.Err() == nil {
		err = s.execute(ctx, env, dir)
	}
	ran := s.record.Steps[0].Started != nil
	stopped := ctx
	if ran {
		stopped = s.stop.rearm(ctx)  // before anybody is told: who then asks for a stop means the collecting
		s.phase(api.PhaseCollecting) // before the input closes: in a job that runs, that means that another has it
	}
	s.note(s.endStreams())
	s.conclude(err)
	if ran {
		s.collect(stopped)
	}
	s.cleanUp()
	return s.finish(ctx, begun)
}

func (s *supervisor) phase(name string) {
	s.board.update(func(info *api.JobInfo) { info.Phase = name })
}

// execute runs the steps under the job's time limit and leaves no process behind.
func (s *supervisor) execute(ctx context.Context, env []string, dir string) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	killed := hostKills()
	s.children = reapAll(ctx, makeCgroup(s.launch.Data, s.job.ID, s.launch.Limits))
	defer func() {
		cancel()
		<-s.children.stopped
		s.children.group.remove()
	}()
	slim := time.AfterFunc(slimAfter, debug.FreeOSMemory)
	defer slim.Stop()
	if s.job.TimeoutSecs > 0 {
		limit := seconds(s.job.TimeoutSecs)
		timer := time.AfterFunc(limit, func() {
			s.stop.request(manifest.TimedOut, fmt.Sprintf("it ran longer than its timeout of %v", limit), s.grace())
		})
		defer timer.Stop()
	}
	err := errors.Join(s.runSteps(env, dir), s.children.sweep(s.job.ID), failpoint.At(failpoint.StepSweep))
	s.measure(killed)
	cpu, peak := s.children.usage()
	s.record.Usage.CPUSeconds, s.record.Usage.PeakMemoryBytes = cpu.Seconds(), peak
	return err
}

// endStreams closes input and output; the log is complete behind it.
func (s *supervisor) endStreams() error {
	if s.in != nil {
		s.in.stop()
	} else {
		s.null.Close()
	}
	return s.out.finish()
}

func (s *supervisor) note(err error) {
	if err != nil {
		s.notes = append(s.notes, explain(err))
	}
}

// conclude tells from what happened how the job ended.
func (s *supervisor) conclude(err error) {
	m := s.record
	for i := range m.Steps {
		if m.Steps[i].Started != nil {
			m.ExitCode, m.Signal = m.Steps[i].ExitCode, m.Steps[i].Signal
		}
	}
	switch state, reason := s.stop.why(); {
	case state != "":
		m.State, m.Reason = state, reason
	case err != nil:
		m.State, m.Reason = manifest.Failed, explain(err)
	case m.ExitCode != nil && *m.ExitCode == 0:
		m.State = manifest.Succeeded
	default:
		m.State, m.Reason = manifest.Failed, s.failure()
	}
	if s.out.over {
		s.reach("log", s.launch.Limits.Log, s.logReason())
	}
	if m.State != manifest.Succeeded {
		s.notes = append(s.reached, s.notes...)
	}
}

// explain adds what a person can do.
func explain(err error) string {
	switch {
	case errors.Is(err, unix.ENOSPC):
		return err.Error() + " (the host's disk is full: remove jobs that are no longer needed)"
	case errors.Is(err, unix.EDQUOT):
		return err.Error() + " (the quota on the host is used up: remove jobs that are no longer needed)"
	}
	return err.Error()
}

// failure says which step failed and how.
func (s *supervisor) failure() string {
	i := slices.IndexFunc(s.record.Steps, func(r manifest.StepRecord) bool { return r.ExitCode == nil || *r.ExitCode != 0 })
	r := s.record.Steps[i]
	what := "the command"
	if r.Name != "" {
		what = "step " + r.Name
	} else if len(s.record.Steps) > 1 {
		what = fmt.Sprintf("step %d", i+1)
	}
	switch {
	case r.Signal == "KILL" && !s.noMemory:
		return what + " was ended by SIGKILL, which nobody asked for here: the machine may have run out of memory"
	case r.Signal != "":
		return fmt.Sprintf("%s was ended by SIG%s", what, r.Signal)
	case r.ExitCode != nil && *r.ExitCode == command.ExitNotFound:
		return what + " was not found (exit code 127)"
	case r.ExitCode != nil:
		return fmt.Sprintf("%s ended with exit code %d", what, *r.ExitCode)
	}
	return what + " did not run"
}

// namesSynced waits until the names of the job's directory are durable. Where their sync failed they are synced
// again: without them a loss of power would take the manifest, which alone can say so.
func (s *supervisor) namesSynced() error {
	err := <-s.named
	if err != nil {
		err = errors.Join(err, SyncNames(s.launch.Data, s.job.ID))
	}
	return err
}

// finish makes the record durable, the manifest last.
func (s *supervisor) finish(ctx context.Context, begun time.Time) error {
	m := s.record
	unsynced := errors.Join(s.log.Sync(), s.namesSynced())
	s.doubt(unsynced)
	s.note(unsynced)
	log, index := s.log.Files()
	s.note(s.log.Close())
	m.Artifacts = append(m.Artifacts, LogArtifacts(s.job.ID, log, index)...)
	m.Usage.LogBytes = log.Size
	s.extra("limits", s.limits, len(s.limits) > 0)
	for _, n := range s.notes {
		if !strings.Contains(m.Reason, n) { // it may be why the job was stopped
			s.addReason(n)
		}
	}
	m.Usage.WallSeconds = time.Since(begun).Seconds()
	if m.Ended = now(); m.Ended.Before(*m.Started) { // the clock was set back
		m.Ended = m.Started.Add(time.Since(begun))
	}
	return s.persist(ctx)
}
