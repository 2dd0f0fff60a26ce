package cli

import (
	"context"
	"slices"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote"
	"github.com/cyclops-fpga/cyclops/tui"
)

// The time between two looks at a host whose executor does not push, and between two attempts to
// reach one that does not answer.
const (
	lookEvery  = 2 * time.Second
	retryFirst = time.Second
	retryMost  = 15 * time.Second
	// lookLimit is how long a host may take to answer: a line that died silently would otherwise
	// show what was last seen for ever.
	lookLimit = 20 * time.Second
)

// Watch tells of a host until ctx ends, over however many lines that takes.
func (s *screenClient) Watch(ctx context.Context, host string) <-chan tui.Event {
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
			if !send(ctx, events, tui.Event{Err: err, Retry: wait}) || !pause(ctx, wait) {
				return
			}
		}
	}()
	return events
}

// watch tells of a host until the line breaks; met means that it answered.
func (s *screenClient) watch(ctx context.Context, name string, events chan<- tui.Event) (met bool, err error) {
	h, err := s.host(name)
	if err != nil {
		return false, err
	}
	hello, err := ask(ctx, h.client.Hello)
	if err != nil {
		return false, err
	}
	if !slices.Contains(hello.Capabilities, api.CapWatch) {
		return true, s.look(ctx, h, &hello, events)
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

// look asks an older executor time and again.
func (s *screenClient) look(ctx context.Context, h *openHost, hello *api.Hello, events chan<- tui.Event) error {
	live := []manifest.State{manifest.Queued, manifest.Running}
	known := map[string]bool{}
	for first := true; ; first = false {
		page, err := ask(ctx, func(ctx context.Context) (api.JobPage, error) {
			return h.listAll(ctx, remote.ListOptions{States: live})
		})
		if err != nil {
			return err
		}
		now, err := ask(ctx, h.client.Hello)
		if err != nil {
			return err
		}
		e := tui.Event{News: api.News{Jobs: page.Jobs, Status: now.Status}, First: first}
		if first {
			e.Hello = hello
		}
		e.News.Jobs = append(e.News.Jobs, s.ended(ctx, h, known, page.Jobs)...)
		if !send(ctx, events, e) || !pause(ctx, lookEvery) {
			return ctx.Err()
		}
	}
}

// ended asks for those jobs that were live at the last look and are no more.
func (s *screenClient) ended(ctx context.Context, h *openHost, known map[string]bool, live []api.JobInfo) (ended []api.JobInfo) {
	now := map[string]bool{}
	for _, j := range live {
		now[j.ID] = true
	}
	for id := range known {
		if now[id] {
			continue
		}
		delete(known, id)
		if info, err := h.client.Show(ctx, id); err == nil {
			ended = append(ended, info)
		}
	}
	for id := range now {
		known[id] = true
	}
	return ended
}
