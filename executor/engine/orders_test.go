//go:build linux

package engine

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/space"
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
	next, supervisor := net.Pipe()
	defer next.Close()
	got := make(chan api.FrameType)
	go func() {
		f, _ := api.ReadFrame(bufio.NewReader(supervisor), nil)
		got <- f.Type
	}()
	if err := e.attach(j, api.NewFrameWriter(next), 0); err != nil {
		t.Error(err)
	}
	if f := <-got; f != api.FrameCancel {
		t.Errorf("the next connection brings frame %d", f)
	}
	j.control, j.cancel = nil, nil
	e.stop()
	if err := e.cancelRunning(j, api.CancelRequest{}); api.KindOf(err) != api.LostContact || j.cancel != nil {
		t.Errorf("of a daemon that leaves: %v, kept: %v", err, j.cancel)
	}
}

// A disk that a supervisor met the failure of was told to whoever submits without a kind and a hint.
func TestADiskThatASupervisorTellsOfRefusesAsAnyOther(t *testing.T) {
	t.Parallel()
	e := &Engine{Options: Options{Host: "lab", Log: slog.New(slog.DiscardHandler)}, overviews: overviews{}}
	e.distrust(space.FailedUnder("job x", "sync log: input/output error"))
	e.wg.Wait()
	told, ok := errors.AsType[*api.Error](e.sound())
	if !ok || told.Kind != api.Refused || told.Hint == "" || told.Message != "lab takes no jobs: the disk failed: job x: sync log: input/output error" {
		t.Errorf("%+v", told)
	}
}
