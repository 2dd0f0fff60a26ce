//go:build linux

package engine

import (
	"errors"
	"os"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/hostconfig"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// Whoever waited for a job whose end only the store keeps got an error in the place of its end. A record that was there
// and is gone must stay an error: it may have told of artifacts.
func TestAJobWhoseEndOnlyTheStoreKeepsCanBeWaitedFor(t *testing.T) {
	t.Parallel()
	h := newHistory(t, hostconfig.Retention{})
	withdrawn := h.ended(day, 1, func(j *store.Job) { j.State, j.Reason = manifest.Cancelled, "its document is gone" })
	data, err := h.Record(t.Context(), withdrawn)
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.DecodeManifest(data)
	if err != nil || m.Job != withdrawn || m.State != manifest.Cancelled || m.Reason == "" || m.Ended.IsZero() {
		t.Errorf("got %+v, %v", m, err)
	}
	for what, change := range map[string]func(*store.Job){
		"a job that succeeded":    func(*store.Job) {},
		"a job that had a record": func(j *store.Job) { j.State, j.Record = manifest.Lost, manifest.SumOf([]byte("x")) },
	} {
		if _, err := h.Record(t.Context(), h.ended(day, 1, change)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
