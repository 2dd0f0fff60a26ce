package cli

import (
	"context"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/tui"
)

// The time between two attempts to reach a host that does not answer.
const (
	retryFirst = time.Second
	retryMost  = 15 * time.Second
	// lookLimit is how long a host may take to answer: a line that died silently would otherwise
	// show what was last seen for ever.
	lookLimit = 20 * time.Second
)

// Watch tells of a host until ctx ends, over however many lines that takes.
func (s *tuiClient) Watch(ctx context.Context, host string) <-chan tui.Event {
	events := make(chan tui.Event)
	go func() {
		defer close(events)
		wait := retryFirst
		for {
			met, err := s.watch(ctx, host, events)
			if ctx.Err() != nil {
				return
			}
			if wait = min(2*wait, retryMost); met {
				wait = retryFirst
			}
			if !send(ctx, events, tui.Event{Err: err, Retry: wait}) || !s.rest(ctx, host, wait) {
				return
			}
		}
	}()
	return events
}

// nudge has a host asked again that did not answer before: it answered somebody else. The screen
// would else go on saying for many seconds that a host is not there which has just been installed.
func (s *tuiClient) nudge(host string) {
	select {
	case s.nudges[host] <- struct{}{}:
	default:
	}
}

// rest waits between two attempts to reach a host; false: nobody looks any more.
func (s *tuiClient) rest(ctx context.Context, host string, d time.Duration) bool {
	select {
	case <-time.After(d):
	case <-s.nudges[host]:
	case <-ctx.Done():
		return false
	}
	return true
}

// watch tells of a host until the line breaks; met means that it answered as it has to: one that is
// too old for a screen is not asked every second.
func (s *tuiClient) watch(ctx context.Context, name string, events chan<- tui.Event) (met bool, err error) {
	h, err := s.host(name)
	if err != nil {
		return false, err
	}
	hello, err := ask(ctx, h.client.Hello)
	if err != nil {
		return false, err
	}
	if err := able(hello, h.Name, api.CapWatch, "tells no screen of its jobs"); err != nil {
		return false, err
	}
	first := true
	return true, h.client.Watch(ctx, func(news api.News) {
		e := tui.Event{News: news, First: first}
		if first {
			e.Hello = &hello
		}
		first = false
		send(ctx, events, e)
	})
}

// ask gives a host so long to answer.
func ask[T any](ctx context.Context, what func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	return what(ctx)
}
