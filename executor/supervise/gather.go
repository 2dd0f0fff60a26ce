//go:build linux

package supervise

import (
	"context"
	"fmt"

	"github.com/cyclops-fpga/cyclops/executor/collect"
	"github.com/cyclops-fpga/cyclops/executor/workspace"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// collect gathers the outputs, however the job ended. Only a stop that was asked for from now on
// stops it.
func (s *supervisor) collect(ctx context.Context) {
	ctx = s.stop.rearm(ctx)
	inputs, err := workspace.LoadInputs(s.launch.Data, WorkspaceName(s.job))
	if err != nil {
		s.note(err)
	}
	req := collect.Request{
		Data: s.launch.Data, Job: s.job.ID, Workspace: WorkspaceName(s.job), Start: s.start, Outputs: s.job.Outputs,
		Concurrent: s.job.Workspace.Mode == manifest.Concurrent,
		Succeeded:  s.record.State == manifest.Succeeded,
	}
	if inputs != nil {
		req.Inputs = inputs
	}
	got, err := collect.Collect(ctx, req)
	m := s.record
	m.Artifacts, m.Missing, m.Stale, m.Refused = got.Artifacts, got.Missing, got.Stale, got.Refused
	m.Usage.OutputBytes = got.Bytes
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
