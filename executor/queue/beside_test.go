package queue

import (
	"testing"

	"github.com/cyclops-fpga/cyclops/manifest"
)

func TestJobBesideAnotherTakesNothingAndIsWaitedFor(t *testing.T) {
	t.Parallel()
	q := New(1, NewCounted(nil))
	q.Add(Job{ID: "kept", Seq: 1, Workspace: "w", Mode: manifest.Kept})
	q.AddBeside("shell")
	expect(t, started(q), "kept")
	if running, _ := q.Counts(); running != 2 {
		t.Errorf("%d jobs run", running)
	}
	after := isolated("after", 2, manifest.Normal)
	after.After = []string{"shell"}
	q.Add(after)
	q.Done("kept", true)
	expect(t, started(q), "")
	if _, why := q.Standing("after"); why != "job shell" {
		t.Errorf("it waits for %q", why)
	}
	q.Done("shell", true)
	expect(t, started(q), "after")
}
