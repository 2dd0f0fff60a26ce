//go:build linux

package engine

import (
	"context"
	"net"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// A connection that had just ended was told as "use of closed network connection".
func TestACancelThatMeetsAnEndedConnectionIsPassedOnByTheNext(t *testing.T) {
	t.Parallel()
	conn, other := net.Pipe()
	defer other.Close()
	conn.Close()
	e := &Engine{}
	e.ctx, e.stop = context.WithCancel(t.Context())
	j := &job{row: store.Job{ID: manifest.NewID(), State: manifest.Running}, control: api.NewFrameWriter(conn)}
	if err := e.cancelRunning(j, api.CancelRequest{Reason: "no"}); err != nil || j.cancel == nil {
		t.Errorf("%v, kept: %v", err, j.cancel)
	}
	j.cancel = nil
	e.stop()
	if err := e.cancelRunning(j, api.CancelRequest{}); api.KindOf(err) != api.LostContact || j.cancel != nil {
		t.Errorf("of a daemon that leaves: %v, kept: %v", err, j.cancel)
	}
}
