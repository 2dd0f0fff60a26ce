//go:build linux

package engine

import (
	"database/sql"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/hostconfig"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// spoilRow changes a row behind the back of its proof.
func (h *history) spoilRow(id string) {
	h.Helper()
	db, err := sql.Open("sqlite", h.Data.Database())
	if err != nil {
		h.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(h.Context(), `DROP TRIGGER jobs_changed`); err != nil {
		h.Fatal(err)
	}
	if _, err := db.ExecContext(h.Context(), `UPDATE jobs SET reason = 'spoiled' WHERE id = ?`, id); err != nil {
		h.Fatal(err)
	}
}

// An end was tried again every two seconds for ever, though its row was damaged or gone.
func TestAnEndIsNotTriedForEverOnARowThatCannotTakeIt(t *testing.T) {
	t.Parallel()
	h := newHistory(t, hostconfig.Retention{})
	gone, damaged := store.Job{ID: manifest.NewID()}, store.Job{ID: h.ended(day, 1)}
	h.spoilRow(damaged.ID)
	for _, row := range []store.Job{gone, damaged} {
		h.unrecorded.Store(row.ID, row)
		if !h.recordAgain(row) {
			t.Errorf("it is tried again: %+v", row)
		}
	}
	if _, kept := h.unrecorded.Load(gone.ID); kept {
		t.Error("the end of a job that is gone is kept")
	}
	if _, kept := h.unrecorded.Load(damaged.ID); !kept {
		t.Error("the end of a job whose row is damaged is forgotten")
	}
}
