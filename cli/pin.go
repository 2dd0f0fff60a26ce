package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func newPinCommand(app *App) *cobra.Command {
	return pinCommand(app, "pin JOB…", "Keep jobs: neither the host's retention, gc nor rm removes them", true)
}

func newUnpinCommand(app *App) *cobra.Command {
	return pinCommand(app, "unpin JOB…", "Let pinned jobs be removed again", false)
}

func pinCommand(app *App, use, short string, pinned bool) *cobra.Command {
	var host string
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Long:  short + ".\n" + jobHelp,
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.byHost(cmd.Context(), host, args, func(ctx context.Context, h *openHost, ids []string) []error {
				reply, err := h.client.Pin(ctx, ids, pinned)
				for _, id := range reply.Done {
					fmt.Fprintln(app.Out, id)
				}
				failures := jobErrors(reply.Failed)
				if err != nil {
					failures = append(failures, err)
				}
				return failures
			})
		},
	}
	cmd.Flags().StringVarP(&host, "host", "H", "", "host of the jobs (also $CYCLOPS_HOST)")
	return cmd
}
