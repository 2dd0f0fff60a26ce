//go:build linux

package engine

import (
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// takeOver indexes what a manifest says of a job.
func takeOver(row *store.Job, m *manifest.Manifest) {
	row.State, row.ExitCode, row.Signal, row.Reason = m.State, m.ExitCode, m.Signal, m.Reason
	row.Ended, row.LogSize = m.Ended, m.Usage.LogBytes
	row.About.Terminal = m.Terminal
	if row.Started = (time.Time{}); m.Started != nil {
		row.Started = *m.Started
	}
	row.About.Steps = row.About.Steps[:0:0]
	for _, s := range m.Steps {
		row.About.Steps = append(row.About.Steps, api.StepInfo{Name: s.Name, Started: s.Started, Ended: s.Ended, ExitCode: s.ExitCode})
	}
}
