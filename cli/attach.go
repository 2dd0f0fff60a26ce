package cli

import (
	"context"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote/fetch"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/journal"
	"github.com/cyclops-fpga/cyclops/remote/project"
	"github.com/cyclops-fpga/cyclops/remote/ship"
	"github.com/spf13/cobra"
)

type attachFlags struct {
	screenFlags
	host    string
	noStdin bool
}

func newAttachCommand(app *App) *cobra.Command {
	var f attachFlags
	cmd := &cobra.Command{
		Use:   "attach [flags] JOB",
		Short: "Come back to a job: its output, its input, its end",
		Long: `Show a job's output from where this machine last stopped showing it, send it
this terminal's input and signals, bring its files to the tree that it came from,
and exit with its exit code, as run would have.

Any number of attaches may watch a job; the input is taken from the newest. A
job that has ended shows the rest of its log. Unlike logs -f, which only reads.
` + jobHelp,
		Example: "  cyclops attach @1\n  cyclops attach --no-stdin build",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return asJob(app.attach(cmd.Context(), &f, args[0]))
		},
	}
	f.register(cmd.Flags())
	cmd.Flags().StringVarP(&f.host, "host", "H", "", "host of the job (also $CYCLOPS_HOST)")
	cmd.Flags().BoolVar(&f.noStdin, "no-stdin", false, "leave the job's input to whoever has it")
	return cmd
}

// attach takes up a job's way where run or another attach left it.
func (app *App) attach(ctx context.Context, f *attachFlags, ref string) error {
	signals, ctx := app.watchSignals(ctx)
	defer signals.Close()
	host, id, err := app.find(ctx, f.host, ref)
	if err != nil {
		return err
	}
	t, err := app.takeUp(ctx, f, host, id, signals)
	if err != nil {
		host.Close()
		return err
	}
	defer t.Close()
	if err := t.follow(ctx); err != nil {
		return signals.explain(id, err)
	}
	var undelivered error
	if t.root != nil {
		undelivered = t.fetch(ctx)
	}
	t.conclude(undelivered)
	return signals.settle(ctx, t.manifest, t.exit("", undelivered), undelivered)
}

// takeUp makes the trip of a job that is under way.
func (app *App) takeUp(ctx context.Context, f *attachFlags, host *openHost, id string, signals *signalWatch) (*trip, error) {
	config, err := hosts.Load(app.dirs)
	if err != nil {
		return nil, err
	}
	info, err := host.client.Show(ctx, id)
	if err != nil {
		return nil, err
	}
	t := &trip{app: app, ctx: ctx, flags: new(jobFlags), host: host, config: config, job: &manifest.Job{ID: id}, status: term.NewStatus(app.stderr)}
	app.status = t.status
	if err := t.findHome(ctx); err != nil {
		t.status.Close()
		return nil, err
	}
	if t.screen, err = app.newScreen(&f.screenFlags, config, signals, t.status); err != nil {
		t.status.Close()
		return nil, err
	}
	t.contactMade()
	t.ask = t.screen.of(host.Name, id, info.Terminal, !f.noStdin && !info.State.Ended())
	t.screen.resume, t.screen.come = journal.FindScreen(app.dirs, id), true
	if t.root != nil {
		t.ask.Artifacts = pushedLimit
	}
	return t, nil
}

// contactMade lets a line that breaks from now on be waited for: the host has answered.
func (t *trip) contactMade() { t.screen.contact.Alive() }

// findHome finds the tree that the job came from, if this machine has it: its files go there.
func (t *trip) findHome(ctx context.Context) error {
	entry, ok := t.app.treeOf(t.job.ID, "cyclops fetch "+t.job.ID+" brings the job's files to another directory")
	if !ok {
		return nil
	}
	job, err := t.host.spec(ctx, t.job.ID)
	if err != nil {
		return err
	}
	t.job = job
	t.root = &project.Root{Dir: entry.Root, File: &project.File{}}
	t.pinned = fetch.PinnedByMemory(ship.Recall(t.app.dirs, entry.Store, entry.Workspace), t.job.Input.Snapshot)
	return nil
}
