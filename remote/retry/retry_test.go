package retry

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

func broken() error { return api.Errorf(api.LostContact, "", "the line broke") }

func away() error { return api.Errorf(api.Unreachable, "", "no answer") }

// notices counts what a person is told.
type notices struct {
	mu         sync.Mutex
	lost, back int
	order      []string
}

func (n *notices) patience(limit time.Duration) *Patience {
	return &Patience{Limit: limit, Lost: func(error) { n.say(&n.lost, "lost") }, Back: func() { n.say(&n.back, "back") }}
}

func (n *notices) say(count *int, word string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	*count++
	n.order = append(n.order, word)
}

func TestBacksOffFromTheBeginningOfEachAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []time.Duration
		p := &Patience{}
		err := p.Do(t.Context(), func(context.Context) error {
			at = append(at, time.Since(began))
			switch {
			case len(at) == 1:
				return broken()
			case len(at) == 10:
				return nil
			case len(at) == 9:
				time.Sleep(5 * time.Second) // a dial that got no answer
			}
			return away()
		})
		ms := time.Millisecond
		want := []time.Duration{0, 20 * ms, 60 * ms, 140 * ms, 300 * ms, 620 * ms, 1260 * ms, 2540 * ms, 4040 * ms, 9040 * ms}
		if err != nil || !slices.Equal(at, want) {
			t.Errorf("%v: attempts at %v, want %v", err, at, want)
		}
	})
}

func TestBeginsAgainAtOnceAfterContact(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		p := &Patience{}
		tries := 0
		err := p.Do(t.Context(), func(context.Context) error {
			if tries++; tries > 100 {
				return nil
			}
			p.Alive()
			return broken()
		})
		if took := time.Since(began); err != nil || took != 100*first {
			t.Errorf("%v: 100 breaks took %v", err, took)
		}
	})
}

func TestEndsWhenPatienceIsUsedUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, hang := range []time.Duration{0, time.Hour} {
			n := &notices{}
			began := time.Now()
			tries := 0
			err := n.patience(time.Minute).Do(t.Context(), func(ctx context.Context) error {
				if tries++; tries == 1 {
					return broken()
				}
				if hang > 0 { // an attempt that gets no answer must not outlast patience
					<-ctx.Done()
					return ctx.Err()
				}
				return away()
			})
			took := time.Since(began)
			if !Broken(err) || took < time.Minute || took > time.Minute+most || n.lost != 1 || n.back != 0 {
				t.Errorf("after %v: %v; told %v", took, err, n.order)
			}
		}
	})
}

func TestCountsFromTheLastLoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &notices{}
		p := n.patience(time.Minute)
		tries := 0
		err := p.Do(t.Context(), func(context.Context) error {
			if tries++; tries == 20 {
				return nil
			}
			time.Sleep(50 * time.Second) // away
			p.Alive()
			time.Sleep(time.Hour)
			return broken()
		})
		if err != nil || n.lost != 19 || n.back != 19 {
			t.Errorf("%v; lost %d times, back %d times", err, n.lost, n.back)
		}
	})
}

func TestNeverMetIsAnErrorAtOnce(t *testing.T) {
	t.Parallel()
	n := &notices{}
	for _, kind := range []api.Kind{api.Unreachable, api.Auth, api.NoExecutor} {
		tries := 0
		err := n.patience(0).Do(t.Context(), func(context.Context) error {
			tries++
			return api.Errorf(kind, "", "no")
		})
		if api.KindOf(err) != kind || tries != 1 || n.lost != 0 {
			t.Errorf("%v after %d attempts, lost %d times", err, tries, n.lost)
		}
	}
}

func TestWhatAHostSaysWhileItComesBack(t *testing.T) {
	t.Parallel()
	for kind, last := range map[api.Kind]time.Duration{
		api.HostKey: 0, api.Incompatible: 0, api.NotFound: 0, api.Internal: 0,
		api.Auth: refused, api.NoExecutor: absent + most, api.Unreachable: time.Hour,
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			p := &Patience{Limit: time.Hour}
			tries := 0
			err := p.Do(t.Context(), func(context.Context) error {
				if tries++; tries == 1 {
					return broken()
				}
				return api.Errorf(kind, "", "no")
			})
			took := time.Since(began)
			if api.KindOf(err) != kind || took > last+first+most || took < last/2 {
				t.Errorf("kind %d: %v after %v and %d attempts", kind, err, took, tries)
			}
			if kind == api.Auth && tries != 1+3 {
				t.Errorf("asked to be let in %d times", tries-1)
			}
		})
	}
}

// A laptop may have been away for long before the host says anything, and a host that boots says
// one thing after another: what it says counts from the first time in a row.
func TestWhatAHostSaysCountsFromTheFirstTime(t *testing.T) {
	t.Parallel()
	for _, kind := range []api.Kind{api.Auth, api.NoExecutor} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			p := &Patience{}
			err := p.Do(t.Context(), func(context.Context) error {
				switch at := time.Since(began); {
				case at == 0:
					return broken()
				case at < 10*time.Minute, 10*time.Minute+20*time.Second <= at && at < 11*time.Minute:
					return away()
				case at < 11*time.Minute+20*time.Second:
					return api.Errorf(kind, "", "not yet")
				}
				return nil
			})
			if err != nil {
				t.Errorf("kind %d: %v after %v", kind, err, time.Since(began))
			}
		})
	}
}

func TestEachContactEndsWhatAHostSaidBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &Patience{}
		tries := 0
		err := p.Do(t.Context(), func(context.Context) error {
			if tries++; tries == 10 {
				return nil
			}
			p.Alive()
			time.Sleep(20 * time.Second)
			return api.Errorf(api.NoExecutor, "", "not yet")
		})
		if err != nil || tries != 10 {
			t.Errorf("%v after %d attempts", err, tries)
		}
	})
}

// Several channels of one command are refused at once: that is one refusal, not several.
func TestWorkersAreRefusedTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &Patience{}
		p.Alive()
		began := time.Now()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				err := p.Do(t.Context(), func(context.Context) error {
					if time.Since(began) < 30*time.Second {
						return api.Errorf(api.Auth, "", "not yet")
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
}

func TestNoPatienceEndsARefusalSooner(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		p := &Patience{Limit: 10 * time.Second}
		p.Alive()
		err := p.Do(t.Context(), func(context.Context) error { return api.Errorf(api.Auth, "", "no") })
		if took := time.Since(began); api.KindOf(err) != api.Auth || took != p.Limit {
			t.Errorf("%v after %v", err, took)
		}
	})
}

func TestCancelEndsItWhereverItIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("detached")
		ctx, cancel := context.WithCancelCause(t.Context())
		tries := 0
		err := (&Patience{}).Do(ctx, func(context.Context) error {
			if tries++; tries == 5 {
				time.AfterFunc(time.Millisecond, func() { cancel(cause) })
			}
			return broken()
		})
		if err != cause || tries != 5 {
			t.Errorf("%v after %d attempts", err, tries)
		}
	})
}

func TestOneNoticeForAllWorkers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &notices{}
		p := n.patience(0)
		p.Alive()
		up := make(chan struct{})
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				err := p.Do(t.Context(), func(context.Context) error {
					select {
					case <-up:
						p.Alive()
						return nil
					default:
						return broken()
					}
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(10 * time.Second)
		close(up)
		all.Wait()
		if !slices.Equal(n.order, []string{"lost", "back"}) {
			t.Errorf("told %v", n.order)
		}
	})
}

// What is cut off while another user of the same patience hears of the host has failed, and is
// worth another attempt.
func TestAnAttemptCutOffWhileAnotherHearsOfTheHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &Patience{Limit: time.Minute}
		tries := 0
		err := p.Do(t.Context(), func(ctx context.Context) error {
			switch tries++; tries {
			case 1:
				return broken()
			case 2:
				<-ctx.Done() // cut off
				p.Alive()    // as another worker says it
				return ctx.Err()
			}
			return nil
		})
		if err != nil || tries != 3 {
			t.Errorf("%v after %d attempts", err, tries)
		}
	})
}

func TestNoPatienceIsOneAttempt(t *testing.T) {
	t.Parallel()
	var p *Patience
	tries := 0
	err := p.Do(t.Context(), func(context.Context) error { tries++; return broken() })
	p.Alive()
	if !Broken(err) || tries != 1 {
		t.Errorf("%v after %d attempts", err, tries)
	}
}

// Leaving while contact is lost ended with 130 when the work said only that it was cancelled.
func TestDoSaysWhyItWasCancelled(t *testing.T) {
	t.Parallel()
	why := errors.New("detached")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := new(Patience).Do(ctx, func(ctx context.Context) error {
		cancel(why)
		return ctx.Err()
	})
	if !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}
