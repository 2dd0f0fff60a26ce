package cli

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/human"
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
	err = t.submit(ctx, follow, hello)
	if t.flags.submitted = mayHaveJob(ctx, err); !t.flags.submitted {
		return err
	}
	return errors.Join(err, t.app.journal().Add(t.entry(hello.Store)))
}

// mayHaveJob tells whether the host has the job or may have it: then its id must be known here,
// while a job that was refused must not become @1.
func mayHaveJob(ctx context.Context, err error) bool {
	return err == nil || ctx.Err() != nil || api.KindOf(err) == api.LostContact
}

// submit sends the tree, again when a file changed meanwhile, and the job.
func (t *trip) submit(ctx context.Context, follow *api.Follow, hello api.Hello) (err error) {
	s := remote.Shipment{Job: t.job, Data: hello.Data, Follow: follow, Cost: t.sayCost, Patience: t.app.patience(t.host.Name)}
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
		fmt.Fprintf(t.app.stderr, "cyclops: sending %s, %s before compression\n", count(objects, "object", "objects"), human.Size(bytes))
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
	text := fmt.Sprintf("%s: %s of %s", verb, human.Size(done), human.Size(total))
	seconds := elapsed.Seconds()
	if done <= 0 || seconds < 0.5 {
		return text
	}
	rate := float64(done) / seconds
	left := time.Duration(float64(total-done) / rate * float64(time.Second))
	return fmt.Sprintf("%s, %s/s, %s left", text, human.Size(int64(rate)), human.Duration(left))
}

// takeBack cancels a job that was accepted while a signal asked to give it up.
func (t *trip) takeBack(ctx context.Context) error {
	const patience = 5 * time.Second
	cause := context.Cause(ctx)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if _, err := t.host.client.Cancel(ctx, t.job.ID, api.CancelRequest{Reason: "interrupted before it was accepted"}); err != nil {
		return &exitError{code: jobVerbCode(cause), err: api.Errorf(api.LostContact, "cyclops cancel "+t.job.ID+" stops it", "interrupted, but job %s may run: %w", t.job.ID, err)}
	}
	return cause
}
