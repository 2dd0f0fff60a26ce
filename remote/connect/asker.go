package connect

import (
	"context"
	"errors"
	"sync"
	"time"
)

// asker relays prompts to the client that a link works for.
type asker struct {
	c       *lines
	answers chan answer
}

// whileThere runs f, lets it put prompts to the client, and cancels it when the client hangs up.
func whileThere[T any](ctx context.Context, c *lines, q request, f func(context.Context, Prompter) (T, error)) (T, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &asker{c: c, answers: make(chan answer, 1)}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		a.listen(ctx)
		cancel()
	}()
	var p Prompter
	if q.Prompts {
		p = a
	}
	done := c.beating()
	v, err := f(ctx, p)
	done()
	_ = c.SetReadDeadline(time.Unix(1, 0)) // ends listen, which has taken nothing: a client waits for Done before it sends
	<-heard
	_ = c.SetReadDeadline(time.Time{})
	return v, err
}

func (a *asker) listen(ctx context.Context) {
	for {
		var got answer
		if a.c.receive(&got) != nil {
			return
		}
		select {
		case a.answers <- got:
		case <-ctx.Done():
			return
		}
	}
}

// Prompt puts a question to the client.
func (a *asker) Prompt(ctx context.Context, p Prompt) (string, error) {
	if err := a.c.send(reply{Prompt: &p}); err != nil {
		return "", err
	}
	select {
	case got := <-a.answers:
		if got.Failed != "" {
			return "", errors.New(got.Failed)
		}
		return got.Text, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// beating tells the client, until the function it returns is called, that its request is being
// worked on. A write that the client does not read ends when it hangs up.
func (l *lines) beating() (done func()) {
	stop := make(chan struct{})
	var told sync.WaitGroup
	told.Go(func() {
		every := time.NewTicker(linkBeat)
		defer every.Stop()
		for {
			select {
			case <-every.C:
			case <-stop:
				return
			}
			if l.send(reply{}) != nil {
				return
			}
		}
	})
	return func() {
		close(stop)
		told.Wait()
	}
}
