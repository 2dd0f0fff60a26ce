//go:build linux

package serve

import (
	"context"
	"net/http"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/collect"
	"github.com/cyclops-fpga/cyclops/executor/workspace"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// maxGlobs bounds the patterns of one request.
const maxGlobs = 100

// files lists what a running job has written until now. One that does not run has written nothing more.
func (s *Server) files(ctx context.Context, r *http.Request) (any, error) {
	globs := r.URL.Query()["glob"]
	if len(globs) == 0 || len(globs) > maxGlobs {
		return nil, api.Errorf(api.Invalid, "", "ask for 1 to %d globs", maxGlobs)
	}
	info, err := s.Engine.Show(ctx, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	list := api.FileList{Dir: s.Data.Workspace(info.Workspace), Files: []api.FileInfo{}}
	if info.State != manifest.Running || info.Started == nil || info.Beside != "" {
		return list, nil
	}
	inputs, err := workspace.LoadInputs(s.Data, info.Workspace)
	if err != nil {
		return nil, err
	}
	found, err := collect.Running(ctx, s.Data, info.Workspace, globs, *info.Started, inputs)
	if found != nil {
		list.Files = found
	}
	return list, err
}
