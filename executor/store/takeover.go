package store

import (
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// TakeOver indexes what a manifest says of a job.
func (j *Job) TakeOver(m *manifest.Manifest) {
	j.State, j.ExitCode, j.Signal, j.Reason = m.State, m.ExitCode, m.Signal, m.Reason
	j.Ended, j.LogSize = m.Ended, m.Usage.LogBytes
	j.About.Terminal = m.Terminal
	if j.Started = (time.Time{}); m.Started != nil {
		j.Started = *m.Started
	}
	j.About.Steps = j.About.Steps[:0:0]
	for _, s := range m.Steps {
		j.About.Steps = append(j.About.Steps, api.StepInfo{Name: s.Name, Started: s.Started, Ended: s.Ended, ExitCode: s.ExitCode})
	}
}
