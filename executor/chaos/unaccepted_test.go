//go:build failpoints && linux

package chaos

import (
	"context"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// A daemon that was killed as it was about to accept a job left a document that the next one took for
// that of a job, and ran: nobody had been told of it, and its client may have sent another.
func TestChaosASubmitThatWasNeverAcceptedDoesNotRun(t *testing.T) {
	binary(t)
	w := newWorld(t, nil)
	armed := string(failpoint.AcceptCommit) + "=" + failpoint.Crash + "@*" // the daemons too that the client starts
	w.daemon(armed)
	c := w.startRun(w.job(told{name: "struck"}), armed)
	if !eventually(patience, func() bool { return len(w.strikesOf(failpoint.AcceptCommit, failpoint.Crash)) > 0 }) {
		t.Fatalf("%s was not reached", failpoint.AcceptCommit)
	}
	w.kill(roleClient)
	w.kill(roleDaemon)
	<-c.ended
	w.must("ps")
	w.stopDaemon()
	s, err := store.OpenBeside(context.Background(), w.data.Database())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if jobs, err := s.List(context.Background(), store.Filter{Limit: 10}); err != nil || len(jobs) > 0 {
		t.Errorf("a job that was never accepted is there: %+v, %v", jobs, err)
	}
	w.again()
	w.check()
	for _, p := range w.problems {
		t.Error(p)
	}
}
