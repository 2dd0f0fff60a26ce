package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/spf13/cobra"
)

func newRetryCommand(app *App) *cobra.Command {
	var host string
	cmd := &cobra.Command{
		Use:   "retry JOB…",
		Short: "Run jobs again on the same pinned inputs",
		Long:  "Submit jobs again under new ids, on exactly the inputs they had, whatever the tree holds now. Prints the new ids.\n" + jobHelp,
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.eachJob(cmd.Context(), host, args, func(ctx context.Context, h *openHost, id string) error {
				info, err := h.client.Retry(ctx, id, api.RetryRequest{ID: manifest.NewID(), Created: time.Now().UTC()})
				if err != nil {
					return err
				}
				fmt.Fprintln(app.Out, info.ID)
				return app.recordRetry(ctx, h, id, info)
			})
		},
	}
	cmd.Flags().StringVarP(&host, "host", "H", "", "host of the jobs (also $CYCLOPS_HOST)")
	return cmd
}
