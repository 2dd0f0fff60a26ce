//go:build linux

package supervise

import (
	"context"
	"os"
)

func (s *supervisor) apply(ctx context.Context) error {
	return os.MkdirAll(s.record.Workspace.Path, 0o777)
}

func (s *supervisor) collect(ctx context.Context) {}
