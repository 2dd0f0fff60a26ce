package cli

import (
	"context"
	"fmt"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/human"
	"github.com/spf13/cobra"
)

// diffReport is what `manifest diff --json` prints, version 1.
type diffReport struct {
	Version int    `json:"version"`
	Old     string `json:"old"` // ids of the jobs
	New     string `json:"new"`
	manifest.Difference
}

func newManifestDiffCommand(app *App) *cobra.Command {
	var host string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "diff JOB|MANIFEST OTHER",
		Short: "Compare what two jobs left",
		Long:  "Compare two manifests: artifacts that appeared, vanished and changed, and what else is not the same of the jobs.\n" + jobHelp,
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.diff(cmd.Context(), host, args[0], args[1], asJSON)
		},
	}
	cmd.Flags().StringVarP(&host, "host", "H", "", "host of the jobs (also $CYCLOPS_HOST)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (app *App) diff(ctx context.Context, host, oldWord, newWord string, asJSON bool) error {
	var both [2]*manifest.Manifest
	for i, word := range []string{oldWord, newWord} {
		data, err := app.manifestBytes(ctx, host, word)
		if err != nil {
			return err
		}
		if both[i], err = decodeManifest(data); err != nil {
			return err
		}
	}
	d := manifest.Compare(both[0], both[1])
	if asJSON {
		return app.printJSON(diffReport{1, both[0].Job, both[1].Job, d})
	}
	app.printDifference(both[0].Job, both[1].Job, &d)
	return nil
}

func (app *App) printDifference(oldJob, newJob string, d *manifest.Difference) {
	colour := term.UseColour(app.Out)
	fmt.Fprintf(app.Out, "%-10s %-28s %s\n", "job", oldJob, newJob)
	for _, f := range d.Fields {
		line := term.Clean(fmt.Sprintf("%-10s %-28s %s", f.Name, dash(f.Old), dash(f.New)))
		if f.Old != f.New {
			line = term.Paint(colour, term.Warn, line)
		}
		fmt.Fprintln(app.Out, line)
	}
	app.printChanges("+", term.Good, d.Appeared)
	app.printChanges("-", term.Bad, d.Vanished)
	app.printChanges("~", term.Warn, d.Changed)
	fmt.Fprintf(app.Out, "%s the same\n", count(d.Same, "artifact is", "artifacts are"))
}

func (app *App) printChanges(sign string, paint term.Colour, changes []manifest.Change) {
	for _, c := range changes {
		size, then := human.Change(&c)
		fmt.Fprintln(app.Out, term.Paint(term.UseColour(app.Out), paint, term.Clean(fmt.Sprintf("%s %-40s %10s%s", sign, c.Name, size, then))))
	}
}
