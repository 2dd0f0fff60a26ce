package cli

import "context"

// offerInstall is where a run meets a host without an executor.
func (t *trip) offerInstall(ctx context.Context, err error) error { return err }
