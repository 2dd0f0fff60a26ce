package cli

import (
	"context"
	"os"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/tui"
	"github.com/spf13/cobra"
)

func newTuiCommand(app *App) *cobra.Command {
	var host string
	cmd := &cobra.Command{
		Use:   "tui",
		Short: "Show every job, log, artifact and host on one screen",
		Long: `Show the jobs of this machine and of every host of your config on one screen,
with their logs, artifacts and all that can be done to them. cyclops alone, on a
terminal, does the same.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return app.tui(cmd.Context(), host) },
	}
	cmd.Flags().StringVarP(&host, "host", "H", "", "show only this host")
	return cmd
}

// onTerminal tells whether the screen can be shown.
func (app *App) onTerminal() bool { return term.IsTerminal(app.In) && term.IsTerminal(app.Out) }

func (app *App) tui(ctx context.Context, only string) error {
	if !app.onTerminal() {
		return api.Errorf(api.Usage, "cyclops ps lists jobs without one", "tui needs a terminal")
	}
	list, chosen, err := app.shown(only)
	if err != nil {
		return err
	}
	client := newTuiClient(app.quiet(), list, chosen)
	defer client.Close()
	return tui.Run(ctx, client, term.UseColour(app.Out), app.In, app.Out)
}

// shown are the hosts on the screen, and the one that run would choose.
func (app *App) shown(only string) (list []hosts.Host, chosen string, err error) {
	config, err := hosts.Load(app.dirs)
	if err != nil {
		return nil, "", err
	}
	byDefault, err := config.Find(os.Getenv("CYCLOPS_HOST"))
	if err != nil {
		return nil, "", err
	}
	if only != "" {
		host, err := config.Find(only)
		return []hosts.Host{host}, byDefault.Name, err
	}
	list = config.List()
	for _, h := range list {
		if h.Name == byDefault.Name {
			return list, byDefault.Name, nil
		}
	}
	return append(list, byDefault), byDefault.Name, nil
}

// quiet is an App that neither asks nor logs: both would write over the screen.
func (app *App) quiet() *App {
	q := *app
	q.In, q.verbose = nil, false
	return &q
}
