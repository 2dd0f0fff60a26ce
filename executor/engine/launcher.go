//go:build linux

package engine

import (
	"context"
	"os"

	"github.com/cyclops-fpga/cyclops/executor/supervise"
)

// Local is the Launcher that starts supervisors on this machine.
type Local struct {
	Stderr *os.File // where a supervisor says what no job's log can hold
}

// Launch implements Launcher.
func (l Local) Launch(ctx context.Context, launch *supervise.Launch) (Supervisor, error) {
	p, err := supervise.Start(ctx, launch, l.Stderr)
	if err != nil {
		return nil, err
	}
	return p, nil
}
