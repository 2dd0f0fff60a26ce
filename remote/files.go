package remote

import (
	"context"
	"net/http"
	"net/url"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// Files lists what a running job has written until now and what one of the globs matches.
func (c *Client) Files(ctx context.Context, id string, globs []string) (api.FileList, error) {
	var list api.FileList
	path := jobPath(api.PathFiles, id) + "?" + url.Values{"glob": globs}.Encode()
	return list, c.call(ctx, http.MethodGet, path, nil, &list)
}
