package cli

import (
	"context"
	"fmt"

	"github.com/cyclops-fpga/cyclops/remote/install"
	"github.com/spf13/cobra"
)

func newUninstallCommand(app *App) *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use:   "uninstall HOST",
		Short: "Take the executor off a host",
		Long:  "Take the executor off a host. Jobs, logs and artifacts stay there unless --purge.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.uninstall(cmd.Context(), args[0], purge)
		},
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "remove every job, log and artifact there too")
	return cmd
}

func (app *App) uninstall(ctx context.Context, name string, purge bool) error {
	host, err := app.openNamed(name)
	if err != nil {
		return err
	}
	defer host.Close()
	if err := install.Uninstall(ctx, host.conn, purge, app.installOptions("")); err != nil {
		return err
	}
	word := "its jobs are kept"
	if purge {
		word = "nothing is left there"
	}
	_, err = fmt.Fprintf(app.Out, "%s has no executor any more; %s\n", name, word)
	return err
}
