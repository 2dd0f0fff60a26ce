package cli

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cyclops-fpga/cyclops/tui"
)

// A host that answered a verb or a log is asked at once, however long it was to be left alone.
func TestAHostThatAnsweredIsAskedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s := &tuiClient{nudges: map[string]chan struct{}{"lab": make(chan struct{}, 1)}} // on which no host answers
		events := s.Watch(ctx, "lab")
		next := func() (tui.Event, time.Duration) {
			began := time.Now()
			return <-events, time.Since(began)
		}
		e, _ := next()
		for e.Retry < retryMost {
			again, after := next()
			if after != e.Retry {
				t.Fatalf("asked after %v, not after %v", after, e.Retry)
			}
			e = again
		}
		s.nudge("lab")
		s.nudge("another") // which is not on the screen
		if _, after := next(); after != 0 {
			t.Errorf("asked after %v", after)
		}
		if _, after := next(); after != retryMost {
			t.Errorf("asked again after %v", after)
		}
	})
}
