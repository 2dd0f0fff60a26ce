//go:build linux

package engine

import (
	"context"
	"encoding/json"
	"errors"
	"os"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// Record returns the manifest of a job as it is on disk. One that was given up when its document was gone never got one:
// its row says all that there is to say, and whoever waits for the job is told that.
func (e *Engine) Record(ctx context.Context, id string) ([]byte, error) {
	data, err := os.ReadFile(e.Data.Manifest(id))
	if !errors.Is(err, os.ErrNotExist) {
		return data, err
	}
	row, rerr := e.Store.Get(ctx, id)
	if rerr != nil {
		return nil, err
	}
	e.latest(&row)
	if !row.Record.IsZero() || row.State != manifest.Lost && row.State != manifest.Cancelled {
		return nil, err // there was one, which may tell of artifacts
	}
	return json.Marshal(e.ofRow(&row))
}

// ofRow is a manifest that says what the store knows of a job.
func (e *Engine) ofRow(row *store.Job) *manifest.Manifest {
	m := &manifest.Manifest{
		SchemaVersion: manifest.Version, MediaType: manifest.MediaType,
		Job: row.ID, Name: row.Name, Project: row.About.Project, Labels: row.About.Labels, Owner: row.About.Owner,
		Host: e.Host, Store: e.StoreID, Executor: api.BuildVersion(),
		State: row.State, ExitCode: row.ExitCode, Signal: row.Signal, Reason: row.Reason,
		Created: row.Accepted, Accepted: row.Accepted, Started: timeOrNil(row.Started), Ended: row.Ended,
		Steps: []manifest.StepRecord{}, Terminal: row.About.Terminal, Beside: row.About.Beside,
		Workspace: manifest.WorkspaceRecord{Name: row.Workspace, Mode: row.About.Mode, Path: e.Data.Workspace(row.Workspace)},
		Artifacts: []manifest.Artifact{}, Usage: manifest.Usage{LogBytes: row.LogSize},
	}
	if !row.Snapshot.IsZero() {
		m.Input.Snapshot = row.Snapshot.Digest()
	}
	return m
}
