package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/spf13/cobra"
)

func newCancelCommand(app *App) *cobra.Command {
	var host string
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "cancel JOB…",
		Short: "Stop jobs: TERM, grace, KILL to everything they started",
		Long:  "Stop jobs, or take them out of the queue. A running job gets TERM, and after its grace KILL, with everything it started.\n" + jobHelp,
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.eachJob(cmd.Context(), host, args, func(ctx context.Context, h *openHost, id string) error {
				info, err := h.client.Cancel(ctx, id, api.CancelRequest{GraceSecs: grace.Seconds()})
				if err == nil {
					fmt.Fprintln(app.Out, info.ID)
				}
				return err
			})
		},
	}
	cmd.Flags().StringVarP(&host, "host", "H", "", "host of the jobs (also $CYCLOPS_HOST)")
	cmd.Flags().DurationVar(&grace, "grace", 0, "time between TERM and KILL (default the job's own)")
	return cmd
}
