package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newDrainCommand(app *App) *cobra.Command {
	return drainCommand(app, "drain [HOST]", "Let a host start no new jobs; what runs finishes", true)
}

func newResumeCommand(app *App) *cobra.Command {
	return drainCommand(app, "resume [HOST]", "Let a drained host start jobs again", false)
}

func drainCommand(app *App, use, short string, draining bool) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			host, err := app.open(cmd.Context(), firstOf(args...))
			if err != nil {
				return err
			}
			defer host.Close()
			hello, err := host.client.Drain(cmd.Context(), draining)
			if err != nil {
				return err
			}
			word := "starts jobs"
			if hello.Status != nil && hello.Status.Draining {
				word = fmt.Sprintf("drains: %s running, %d waiting", count(hello.Status.Running, "job", "jobs"), hello.Status.Queued)
			}
			_, err = fmt.Fprintf(app.Out, "%s %s\n", host.Name, word)
			return err
		},
	}
}
