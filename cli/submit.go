package cli

import (
	"context"
	"fmt"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/spf13/cobra"
)

func newSubmitCommand(app *App) *cobra.Command {
	var f jobFlags
	cmd := &cobra.Command{
		Use:   "submit [flags] [--] CMD… | submit [flags] JOBNAME",
		Short: "Send a job and return: prints its id",
		Long: `Send what changed in this tree to the host and queue the command there. The
job's id alone is printed; logs -f, wait and fetch take it from there.`,
		Example: "  cyclops submit build\n  cyclops logs -f $(cyclops submit -- make)",
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.submit(cmd.Context(), &f, args, cmd.ArgsLenAtDash() == 0)
		},
	}
	f.register(cmd.Flags())
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func (app *App) submit(ctx context.Context, f *jobFlags, args []string, dashed bool) error {
	t, err := app.load(ctx, f, args, dashed, manifest.Normal)
	if err != nil {
		return err
	}
	defer t.Close()
	if err := t.snapshot(ctx); err != nil {
		return err
	}
	if err := t.ship(ctx, nil); err != nil {
		return err
	}
	t.status.Say(nil)
	fmt.Fprintln(app.Out, t.job.ID)
	if draining := t.session.Accepted.Job.WaitsFor; draining != "" && t.session.Accepted.Job.State == manifest.Queued && app.verbose {
		app.warn("job %s waits for %s", t.job.ID, draining)
	}
	return nil
}
