//go:build linux

package supervise

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/collect"
	"github.com/cyclops-fpga/cyclops/executor/workspace"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

// collect gathers the outputs, however the job ended. Only a stop that was asked for since it is said
// that they are collected stops it.
func (s *supervisor) collect(ctx context.Context) {
	if s.job.Beside != "" {
		return // what lies there is the other job's
	}
	inputs, err := workspace.LoadInputs(s.launch.Data, WorkspaceName(s.job))
	if err != nil {
		s.note(err)
	}
	req := collect.Request{
		Data: s.launch.Data, Job: s.job.ID, Workspace: WorkspaceName(s.job), Start: s.start, Back: setBack(s.applied), Outputs: s.job.Outputs,
		Concurrent: s.job.Workspace.Mode == manifest.Concurrent,
		Succeeded:  s.record.State == manifest.Succeeded,
		Most:       s.launch.Limits.Output,
		Settled: func() (collect.Inputs, error) {
			return workspace.SettledInputs(ctx, s.launch.Data, WorkspaceName(s.job))
		},
	}
	if inputs != nil {
		req.Inputs = inputs
	}
	got, err := collect.Collect(ctx, req)
	m := s.record
	s.note(s.give(got.Artifacts))
	m.Artifacts, m.Missing, m.Stale, m.Refused = got.Artifacts, got.Missing, got.Stale, got.Refused
	m.ChangedInputs = got.Changed
	m.Usage.OutputBytes = got.Bytes
	if got.Over > 0 {
		s.reach("output", s.launch.Limits.Output, fmt.Sprintf("outputs of %s stay in the workspace: they are more than a job may keep on this host (%s, limits.output)",
			human.Size(got.Over), human.Size(s.launch.Limits.Output)))
		s.notes = append(s.notes, s.reached[len(s.reached)-1])
	}
	s.doubt(got.Unsynced)
	if got.Problem != "" {
		s.notes = append(s.notes, got.Problem)
	}
	if s.stop.late() {
		m.State = manifest.Cancelled
		_, reason := s.stop.why()
		m.Reason = reason + ", while its outputs were collected"
	} else if err != nil {
		s.note(fmt.Errorf("outputs are missing: %w", err))
	}
}

// give tells the jobs that share the workspace what this one's client gets, and that it has ended.
func (s *supervisor) give(artifacts []manifest.Artifact) error {
	if s.share == nil {
		return nil
	}
	var made []workspace.Made
	for _, a := range artifacts {
		if sum, err := a.Digest.Sum(); err == nil && a.Kind != manifest.KindSymlink {
			made = append(made, workspace.Made{Name: a.Name, Sum: sum})
		}
	}
	return errors.Join(s.share.Give(made), s.share.Close())
}

// clockNoise is less than any step of a clock, and more than reading it twice takes.
const clockNoise = time.Millisecond

// setBack returns by how much the clock was set back since a moment.
func setBack(since time.Time) time.Duration {
	now := time.Now()
	// Of times without their monotonic part the wall clock's are compared.
	if back := now.Sub(since) - now.Round(0).Sub(since.Round(0)); back > clockNoise {
		return back
	}
	return 0
}
