package cli

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote"
	"github.com/cyclops-fpga/cyclops/remote/journal"
	"github.com/cyclops-fpga/cyclops/remote/scan"
	"github.com/cyclops-fpga/cyclops/remote/ship"
)

// ship sends what the host lacks and submits the job; t.session follows it from here.
func (t *trip) ship(ctx context.Context, follow *api.Follow) error {
	t.status.Say(func() string { return "connecting to " + t.host.Name })
	defer t.status.Say(nil)
	hello, err := t.greeting(ctx)
	if api.KindOf(err) == api.NoExecutor {
		if err = t.offerInstall(ctx, err); err == nil {
			hello, err = t.host.conn.Hello(ctx)
		}
	}
	if err != nil {
		return err
	}
	// Before the submit: should the line break during it, the id is known here.
	if err := t.app.journal().Add(t.entry(hello.Store)); err != nil {
		return err
	}
	s := remote.Shipment{Job: t.job, Data: hello.Data, Follow: follow, Cost: t.sayCost}
	if t.tree == nil {
		t.session, err = t.host.client.Submit(ctx, t.host.conn, s)
		return err
	}
	s.Memory = ship.Recall(t.app.dirs, hello.Store, t.kept)
	s.Sent = t.showSent()
	t.tree, err = ship.Stable(ctx, t.tree, t.take, func(ctx context.Context, tree *scan.Tree) error {
		t.setTree(tree)
		s.Plan = ship.NewPlan(tree, s.Memory)
		t.session, err = t.host.client.Submit(ctx, t.host.conn, s)
		return err
	})
	return err
}

// greeting waits for what load asked the host.
func (t *trip) greeting(ctx context.Context) (api.Hello, error) {
	select {
	case g := <-t.greeted:
		return g.hello, g.err
	case <-ctx.Done():
		return api.Hello{}, context.Cause(ctx)
	}
}

func (t *trip) entry(store string) journal.Entry {
	return journal.Entry{ID: t.job.ID, Host: t.host.Name, Store: store, Root: t.root.Dir, Name: t.job.Name, Project: t.job.Project, Workspace: t.kept, Created: t.job.Created}
}

// sayCost tells with -v what an edit costs.
func (t *trip) sayCost(objects int, bytes int64) {
	if t.app.verbose {
		fmt.Fprintf(t.app.Err, "cyclops: sending %s, %s before compression\n", count(objects, "object", "objects"), size(bytes))
	}
}

// showSent keeps the status line at how much is sent, how fast, and for how long still.
func (t *trip) showSent() func(done, total int64) {
	var sent, all atomic.Int64
	var began time.Time
	return func(done, total int64) {
		sent.Store(done)
		if all.Swap(total) == 0 {
			began = time.Now()
			t.status.Say(func() string { return rateText("sending", sent.Load(), all.Load(), time.Since(began)) })
		}
	}
}

// rateText says how far something is: bytes, rate, time that remains.
func rateText(verb string, done, total int64, elapsed time.Duration) string {
	text := fmt.Sprintf("%s: %s of %s", verb, size(done), size(total))
	seconds := elapsed.Seconds()
	if done <= 0 || seconds < 0.5 {
		return text
	}
	rate := float64(done) / seconds
	left := time.Duration(float64(total-done) / rate * float64(time.Second))
	return fmt.Sprintf("%s, %s/s, %s left", text, size(int64(rate)), duration(left))
}
