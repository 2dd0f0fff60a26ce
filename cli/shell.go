package cli

import (
	"context"
	"encoding/json"
	"time"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/journal"
	"github.com/spf13/cobra"
)

type shellFlags struct {
	screenFlags
	host    string
	command string
}

// loginShell is the step of a shell without a command. A shell sees by itself whether it has a terminal.
const loginShell = `exec "${SHELL:-/bin/sh}"`

func newShellCommand(app *App) *cobra.Command {
	var f shellFlags
	cmd := &cobra.Command{
		Use:   "shell [flags] JOB [[--] CMD…]",
		Short: "Open a shell where a job runs or ran",
		Long: `Open your shell on the host of a job, in the job's workspace and directory and
with its environment: to look at what went wrong, or to watch while it runs. CMD
runs one command there instead.

It starts at once, whatever the workspace and the host are busy with, sends
nothing and brings nothing back. An isolated workspace is there until the job is
removed; a kept one as the last job, or the running one, has it.
` + jobHelp,
		Example: "  cyclops shell @1\n  cyclops shell build -- ls -l build/\n  cyclops shell build <look.sh",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return asJob(app.shell(cmd.Context(), &f, args[0], args[1:]))
		},
	}
	f.register(cmd.Flags())
	f.registerTerminal(cmd.Flags())
	cmd.Flags().StringVarP(&f.host, "host", "H", "", "host of the job (also $CYCLOPS_HOST)")
	cmd.Flags().StringVarP(&f.command, "command", "c", "", "give `STRING` to /bin/sh instead")
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// shell is run without a tree: it submits a job beside another and follows it.
func (app *App) shell(ctx context.Context, f *shellFlags, ref string, words []string) error {
	signals, ctx := app.watchSignals(ctx)
	defer signals.Close()
	step, err := f.step(words)
	if err != nil {
		return err
	}
	host, id, err := app.find(ctx, f.host, ref)
	if err != nil {
		return err
	}
	t := &trip{app: app, ctx: ctx, flags: new(jobFlags), host: host, status: term.NewStatus(app.stderr)}
	app.status = t.status
	defer t.Close()
	if t.config, err = hosts.Load(app.dirs); err != nil {
		return err
	}
	if t.job, err = host.besideJob(ctx, id, step); err != nil {
		return err
	}
	if err := t.show(&f.screenFlags, signals); err != nil {
		return err
	}
	if err := t.enter(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return t.takeBack(ctx)
	}
	if err := t.follow(ctx); err != nil {
		return signals.explain(t.job.ID, err)
	}
	t.status.Say(nil)
	return signals.settle(ctx, t.manifest, t.exit("", nil), nil)
}

// step is what runs: a command, or the shell of the host's user.
func (f *shellFlags) step(words []string) (manifest.Step, error) {
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	switch {
	case f.command != "" && len(words) > 0:
		return manifest.Step{}, api.Errorf(api.Usage, "quote the whole command after -c, or leave -c out", "-c takes no further arguments, got %q", words[0])
	case f.command != "":
		return manifest.Step{Run: f.command}, nil
	case len(words) > 0:
		return manifest.StepOf(words), nil
	}
	return manifest.Step{Run: loginShell}, nil
}

// besideJob is a job in the place of the job id. The host adds the environment, whose values it
// does not tell.
func (h *openHost) besideJob(ctx context.Context, id string, step manifest.Step) (*manifest.Job, error) {
	base, err := h.spec(ctx, id)
	if err == nil && base.Beside != "" { // a shell's own shell is one of the same job
		base, err = h.spec(ctx, base.Beside)
	}
	if err != nil {
		return nil, err
	}
	return &manifest.Job{
		SchemaVersion: manifest.JobVersion, MediaType: manifest.JobMediaType, ID: manifest.NewID(),
		Name: "shell", Project: base.Project, Owner: owner(), Created: time.Now().UTC().Truncate(time.Microsecond),
		Steps: []manifest.Step{step}, Beside: base.ID, Priority: manifest.Interactive,
		Workspace: base.Workspace, Dir: base.Dir, Tools: base.Tools, Home: base.Home, SamePath: base.SamePath, SetUID: base.SetUID,
	}, nil
}

func (h *openHost) spec(ctx context.Context, id string) (*manifest.Job, error) {
	data, err := h.client.Spec(ctx, id)
	if err != nil {
		return nil, err
	}
	job := new(manifest.Job)
	if err := json.Unmarshal(data, job); err != nil {
		return nil, api.Errorf(api.Invalid, "", "unable to read what the host says of job %s: %w", id, err)
	}
	return job, nil
}

// enter submits the shell; it has nothing to send.
func (t *trip) enter(ctx context.Context) error {
	hello, err := t.host.conn.Hello(ctx)
	if err != nil {
		return err
	}
	if err := able(hello, t.host.Name, api.CapBeside, "opens no shells"); err != nil { // it would take the job for one without inputs, and empty the workspace
		return err
	}
	t.contactMade()
	t.session, err = t.host.client.Submit(ctx, t.host.conn, remote.Shipment{Job: t.job, Data: hello.Data, Follow: &t.ask})
	if !mayHaveJob(ctx, err) {
		return err
	}
	entry := journal.Entry{ID: t.job.ID, Host: t.host.Name, Store: hello.Store, Name: t.job.Name, Project: t.job.Project, Beside: t.job.Beside, Created: t.job.Created}
	if jerr := t.app.journal().Add(entry); jerr != nil && err == nil {
		t.app.warn("%v", jerr)
	}
	return err
}
