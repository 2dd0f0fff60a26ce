package cli

import (
	"context"
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
		Long: `Delete the record, log and artifacts of ended jobs, and the input content and
workspaces that no other job names. A pinned job stays.
` + jobHelp,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return app.rm(cmd.Context(), host, args) },
	}
	cmd.Flags().StringVarP(&host, "host", "H", "", "host of the jobs (also $CYCLOPS_HOST)")
	return cmd
}

func (app *App) rm(ctx context.Context, hostFlag string, refs []string) error {
	var freed int64
	err := app.byHost(ctx, hostFlag, refs, func(ctx context.Context, h *openHost, ids []string) []error {
		reply, err := h.client.Remove(ctx, ids)
		for _, r := range reply.Removed {
			freed += r.FreedBytes
			fmt.Fprintln(app.Out, r.ID)
		}
		failures := jobErrors(reply.Failed)
		if err != nil {
			failures = append(failures, err)
		}
		return failures
	})
	if freed > 0 && term.IsTerminal(app.Err) {
		fmt.Fprintf(app.stderr, "freed %s\n", human.Size(freed))
	}
	return err
}
