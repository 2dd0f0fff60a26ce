package cli

import (
	"context"
	"fmt"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote/project"
	"github.com/spf13/cobra"
)

func newReprioritiseCommand(app *App) *cobra.Command {
	var host, priority string
	cmd := &cobra.Command{
		Use:     "reprioritise --priority PRIORITY JOB…",
		Aliases: []string{"reprioritize"},
		Short:   "Move queued jobs: interactive before normal before low",
		Long:    "Move queued jobs: interactive before normal before low, first come first served within one.\n" + jobHelp,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := project.CheckPriority(manifest.Priority(priority)); err != nil || priority == "" {
				return api.Errorf(api.Usage, "--priority interactive, normal or low", "%q is no priority", priority)
			}
			return app.eachJob(cmd.Context(), host, args, func(ctx context.Context, h *openHost, id string) error {
				info, err := h.client.Reprioritise(ctx, id, manifest.Priority(priority))
				if err == nil {
					fmt.Fprintln(app.Out, info.ID)
				}
				return err
			})
		},
	}
	cmd.Flags().StringVarP(&host, "host", "H", "", "host of the jobs (also $CYCLOPS_HOST)")
	cmd.Flags().StringVar(&priority, "priority", "", "interactive, normal or low")
	return cmd
}
