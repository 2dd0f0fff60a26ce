//go:build linux

package engine

import (
	"context"
	"os"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/supervise"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// admissibleBeside tells whether a job may run in the workspace of another. A host that drains or
// is full lets it in all the same: it is how somebody looks at what went wrong.
func (e *Engine) admissibleBeside(ctx context.Context, doc *manifest.Job) error {
	if doc.Input.Snapshot != "" || len(doc.Needs) > 0 || len(doc.After) > 0 {
		return api.Errorf(api.Invalid, "", "a job beside another has no inputs, no needs and no upstream jobs of its own")
	}
	base, err := e.place(ctx, doc.Beside)
	if err != nil {
		return err
	}
	if doc.Workspace != base.Workspace {
		return api.Errorf(api.Invalid, "", "job %s runs in the %s workspace %s, not in the %s workspace %s",
			base.ID, base.Workspace.Mode, base.Workspace.Name, doc.Workspace.Mode, doc.Workspace.Name)
	}
	return nil
}

// place returns the document of a job in whose workspace others can run, because it is there.
func (e *Engine) place(ctx context.Context, id string) (*manifest.Job, error) {
	info, err := e.Show(ctx, id)
	if err != nil {
		return nil, err
	}
	doc, err := e.document(ctx, id)
	if err != nil {
		return nil, err
	}
	if doc.Beside != "" {
		return nil, api.Errorf(api.Conflict, "cyclops shell "+doc.Beside, "job %s ran beside job %s and has no workspace of its own", id, doc.Beside)
	}
	dir, err := os.Lstat(e.Data.Workspace(supervise.WorkspaceName(doc)))
	switch {
	case err == nil && dir.IsDir():
		return doc, nil
	case info.State == manifest.Queued:
		return nil, api.Errorf(api.Conflict, "try again when it runs", "job %s is queued: its workspace is made when it starts", id)
	}
	return nil, api.Errorf(api.NotFound, "cyclops retry "+id+" runs it again, on the same inputs", "the workspace of job %s is gone", id)
}

// startBeside starts a job in the workspace of another, whatever the host is busy with. e.mu is held.
func (e *Engine) startBeside(j *job) {
	e.queue.AddBeside(j.row.ID)
	e.begin(j, nil)
}
