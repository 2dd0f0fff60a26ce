package cli

import (
	"context"
	"fmt"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/install"
	"github.com/spf13/cobra"
)

func newInstallCommand(app *App) *cobra.Command {
	var binary string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "install HOST",
		Short: "Put the executor on a host, or bring it up to date",
		Long: `Put the executor on a machine that you reach by ssh: no root, nothing needed
there but sshd and a POSIX shell. Again: an upgrade, or nothing to do. Jobs that
run there go on.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.install(cmd.Context(), args[0], binary, asJSON)
		},
	}
	cmd.Flags().StringVar(&binary, "binary", "", "install this executor `FILE`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (app *App) install(ctx context.Context, name, binary string, asJSON bool) error {
	host, err := app.openNamed(name)
	if err != nil {
		return err
	}
	defer host.Close()
	report, err := install.Install(ctx, host.conn, app.installOptions(binary))
	if err != nil {
		return err
	}
	if report.Warning != "" {
		app.warn("%s", report.Warning)
	}
	if asJSON {
		return app.printJSON(report)
	}
	if !report.Changed {
		_, err = fmt.Fprintf(app.Out, "%s has executor %s already; it answers\n", name, report.Hello.Executor)
		return err
	}
	_, err = fmt.Fprintf(app.Out, "%s runs executor %s; it answers%s. Try: cyclops run -H %s -- uname -a\n", name, report.Hello.Executor, goingOn(report.Hello.Status), name)
	return err
}

// goingOn says that jobs outlived the upgrade.
func goingOn(s *api.Status) string {
	if s == nil || s.Running == 0 {
		return ""
	}
	return fmt.Sprintf(", and %s on", count(s.Running, "running job goes", "running jobs go"))
}

func (app *App) installOptions(binary string) install.Options {
	return install.Options{Binary: binary, Self: app.self[0], Say: func(text string) { fmt.Fprintln(app.stderr, text) }}
}

// offerInstall is what happens where a host has no executor: a person is asked whether to
// install it, everyone else is told the command.
func (t *trip) offerInstall(ctx context.Context, missing error) error {
	host := t.host.Name
	if !t.app.Interactive() || t.host.IsLocal() {
		return missing
	}
	t.status.Say(nil)
	yes, err := t.app.confirm(ctx, fmt.Sprintf("%s has no executor. Install it now? [Y/n] ", host), true)
	if err != nil || !yes {
		return missing
	}
	_, err = install.Install(ctx, t.host.conn, t.app.installOptions(""))
	return err
}
