//go:build linux

// Package collect gathers a job's outputs: it finds what the job wrote, copies it beside the
// manifest and says of each file what it is.
package collect

import (
	"context"
	"errors"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// Inputs says what the client has at a path, so that it is not sent back.
type Inputs interface {
	Input(path string) (snapshot.Entry, bool)
}

// Request asks for the outputs of a job of which nothing runs any more.
type Request struct {
	Data      layout.Data
	Job       string    // id
	Workspace string    // its name
	Start     time.Time // workspace.Report.Start
	Outputs   manifest.Outputs
	Inputs    Inputs // nil: none
	// Concurrent: other jobs write into the workspace, so only declared outputs are this job's.
	Concurrent bool
	// Succeeded: a declared output that was up to date already counts. Of a job that failed, nothing stale does.
	Succeeded bool
}

// Result is what a manifest says of the outputs. Logs are not among the artifacts.
type Result struct {
	Artifacts []manifest.Artifact // durable when Collect returns; reports, logs and bitstreams first, then by size
	Missing   []string
	Stale     []manifest.StaleOutput
	Refused   []manifest.Refusal
	Bytes     int64  // of the artifacts that are files
	Problem   string // for people: what kept an output from being copied, as a full disk; empty: nothing
}

// Collect gathers the outputs. An error means that it had to stop; the Result then holds what was done until then.
func Collect(ctx context.Context, req Request) (Result, error) {
	return Result{}, errors.ErrUnsupported
}
