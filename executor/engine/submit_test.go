//go:build linux

package engine

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/hostconfig"
	"github.com/cyclops-fpga/cyclops/executor/inputs"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// While a large upload was read, the same job came over another line, ran and ended: what the slow
// one then did took its record away, and ran it again where it was removed.
func TestAJobThatEndedWhileItsInputsCameIsNotAcceptedAgain(t *testing.T) {
	t.Parallel()
	h := newHistory(t, hostconfig.Retention{})
	id := h.ended(time.Hour, 100)
	admit := func() error {
		_, err := h.admit(h.Context(), newJob(&manifest.Job{ID: id}, manifest.Sum{}), []byte("{}"), &inputs.Gathered{})
		return err
	}
	if again, ok := errors.AsType[*alreadyError](admit()); !ok || again.ended == nil || again.ended.State != manifest.Succeeded {
		t.Errorf("of a job that has ended: %+v", again)
	}
	if _, err := os.Stat(h.Data.Log(id)); err != nil {
		t.Error(err)
	}
	if reply, err := h.Remove(h.Context(), []string{id}); err != nil || len(reply.Failed) > 0 {
		t.Fatal(reply, err)
	}
	if err := admit(); api.KindOf(err) != api.Conflict {
		t.Errorf("of a job that was removed: %v", err)
	}
}

// What a size of the retention needs was kept of every job in memory, where only an age was given.
func TestNothingIsAddedUpThatNobodyAsksFor(t *testing.T) {
	t.Parallel()
	h := newHistory(t, age(day))
	h.keeper.wake = make(chan struct{}, 1)
	for range 100 {
		row, err := h.Store.Get(h.Context(), h.ended(0, 1))
		if err != nil {
			t.Fatal(err)
		}
		h.keeper.ended(row, h.clock.Boot())
	}
	if n := len(h.keeper.fresh); n > 0 {
		t.Errorf("%d rows are kept", n)
	}
}

// A workspace that cannot be moved is emptied at once: later its name may be another job's.
func TestAWorkspaceThatCannotBeMovedIsNotDeletedLater(t *testing.T) {
	t.Parallel()
	h := newHistory(t, hostconfig.Retention{})
	h.write(h.Data.Workspace("w")+"/file", 10)
	if err := os.RemoveAll(h.Data.Incoming()); err != nil {
		t.Fatal(err)
	}
	path, err := h.workspaceAside("a", "w")
	if err != nil || path != "" {
		t.Errorf("%q is to be deleted later; %v", path, err)
	}
	if _, err := os.Stat(h.Data.Workspace("w") + "/file"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what it held is there: %v", err)
	}
}
