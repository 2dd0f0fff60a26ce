package cli

import (
	"context"
	"fmt"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/install"
	"github.com/cyclops-fpga/cyclops/remote/project"
	"github.com/spf13/cobra"
)

// doctorReport is what `doctor --json` prints, version 1.
type doctorReport struct {
	Version int             `json:"version"`
	Host    string          `json:"host"`
	Checks  []install.Check `json:"checks"`
}

func newDoctorCommand(app *App) *cobra.Command {
	var asJSON, full bool
	cmd := &cobra.Command{
		Use:   "doctor [HOST]",
		Short: "Check each part of the way to a host, and say what to do",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.doctor(cmd.Context(), firstOf(args...), asJSON, full)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&full, "full", false, "have the host read every byte that it keeps")
	return cmd
}

func (app *App) doctor(ctx context.Context, name string, asJSON, full bool) error {
	host, err := app.hostToCheck(ctx, name)
	if err != nil {
		return err
	}
	colour := term.UseColour(app.Out)
	say := func(c install.Check) { app.printCheck(c, colour) }
	if asJSON {
		say = nil
	}
	checks := install.Doctor(ctx, host, app.connectOptions(), full, say)
	if asJSON {
		if err := app.printJSON(doctorReport{1, host.Name, checks}); err != nil {
			return err
		}
	}
	for _, c := range checks {
		if c.Verdict == install.Fail {
			return &exitError{code: exitFailure}
		}
	}
	return nil
}

func (app *App) hostToCheck(ctx context.Context, name string) (hosts.Host, error) {
	root, err := project.Find("")
	if err != nil {
		root = &project.Root{File: &project.File{}}
	}
	return app.chooseHost(ctx, name, root)
}

func (app *App) printCheck(c install.Check, colour bool) {
	mark, paint := "ok  ", term.Good
	switch c.Verdict {
	case install.Warn:
		mark, paint = "warn", term.Warn
	case install.Fail:
		mark, paint = "FAIL", term.Bad
	}
	fmt.Fprintf(app.Out, "%s  %-15s %s\n", term.Paint(colour, paint, mark), c.Name, term.Clean(c.Text))
	if c.Hint != "" {
		fmt.Fprintf(app.Out, "      %-15s %s\n", "", term.Paint(colour, term.Bold, "→ "+term.Clean(c.Hint)))
	}
}
