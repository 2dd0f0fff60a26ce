//go:build linux

package daemon

import (
	"context"

	"github.com/cyclops-fpga/cyclops/executor/layout"
)

// Running is a daemon inside the test's process.
type Running = running

// Open takes a data directory.
func Open(ctx context.Context, d layout.Data, self []string) (*Running, error) {
	return open(ctx, d, self, nil)
}

// Serve answers until ctx ends or a client asks it to leave.
func (r *running) Serve(ctx context.Context) error { return r.serve(ctx) }
