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

// A job that has ended in a way that nobody here can read held its slot and its workspace until another daemon came.
func TestAJobThatLeftHoldsNothingAndIsWaitedFor(t *testing.T) {
	t.Parallel()
	q := New(1, NewCounted(nil))
	q.Add(Job{ID: "left", Seq: 1, Workspace: "w", Mode: manifest.Kept})
	expect(t, started(q), "left")
	q.Add(Job{ID: "next", Seq: 2, Workspace: "w", Mode: manifest.Kept})
	after := isolated("after", 3, manifest.Normal)
	after.After = []string{"left"}
	q.Add(after)
	q.Leave("left")
	expect(t, started(q), "next")
	q.Done("next", true)
	expect(t, started(q), "")
	q.Done("left", true)
	expect(t, started(q), "after")
}
