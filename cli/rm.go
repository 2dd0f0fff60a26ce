package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/manifest/human"
	"github.com/spf13/cobra"
)

func newRmCommand(app *App) *cobra.Command {
	var host string
	cmd := &cobra.Command{
		Use:   "rm JOB…",
		Short: "Delete ended jobs and free what only they used",
		Long:  "Delete the record, log and artifacts of ended jobs, and the input content and workspaces that no other job names.\n" + jobHelp,
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var freed int64
			err := app.eachJob(cmd.Context(), host, args, func(ctx context.Context, h *openHost, id string) error {
				removed, err := h.client.Remove(ctx, id)
				if err != nil {
					return err
				}
				freed += removed.FreedBytes
				fmt.Fprintln(app.Out, removed.ID)
				return nil
			})
			if freed > 0 && term.IsTerminal(app.Err) {
				fmt.Fprintf(app.stderr, "freed %s\n", human.Size(freed))
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&host, "host", "H", "", "host of the jobs (also $CYCLOPS_HOST)")
	return cmd
}

// eachJob does act for every job, goes on after a failure, and reports each.
func (app *App) eachJob(ctx context.Context, hostFlag string, refs []string, act func(context.Context, *openHost, string) error) error {
	var failures []error
	for _, ref := range refs {
		if err := app.oneJob(ctx, hostFlag, ref, act); err != nil {
			failures = append(failures, err)
		}
	}
	if len(failures) < 2 {
		return errors.Join(failures...)
	}
	for _, err := range failures {
		report(app.stderr, term.UseColour(app.Err), err)
	}
	return &exitError{code: exitCode(failures[0])}
}

func (app *App) oneJob(ctx context.Context, hostFlag, ref string, act func(context.Context, *openHost, string) error) error {
	host, id, err := app.find(ctx, hostFlag, ref)
	if err != nil {
		return err
	}
	defer host.Close()
	return act(ctx, host, id)
}
