//go:build linux

package serve

import (
	"context"
	"net/http"
	"strconv"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/check"
)

// check looks whether all is as it was written, while jobs go on.
func (s *Server) check(ctx context.Context, r *http.Request) (any, error) {
	full := false
	if text := r.URL.Query().Get("full"); text != "" {
		var err error
		if full, err = strconv.ParseBool(text); err != nil {
			return nil, api.Errorf(api.Invalid, "", "full is true or false, not %q", text)
		}
	}
	return check.Run(ctx, check.Options{Data: s.Data, Store: s.Engine.Store, Full: full})
}
