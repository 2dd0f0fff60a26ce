package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/human"
	"github.com/cyclops-fpga/cyclops/manifest/schema"
	"github.com/spf13/cobra"
)

func newManifestCommand(app *App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "manifest",
		Short: "Look at the record of a job",
		Long:  "Look at the record that an ended job leaves: docs/manifest.md describes every field.",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newManifestShowCommand(app), newManifestVerifyCommand(app), newManifestDiffCommand(app), newManifestSchemaCommand(app))
	return cmd
}

func newManifestShowCommand(app *App) *cobra.Command {
	var host string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show JOB|MANIFEST",
		Short: "Print a manifest",
		Long:  "Print the manifest of an ended job, or the one at a path or an sftp:// URL.\n" + jobHelp,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := app.manifestBytes(cmd.Context(), host, args[0])
			if err != nil {
				return err
			}
			return app.printManifest(data, asJSON)
		},
	}
	cmd.Flags().StringVarP(&host, "host", "H", "", "host of the job (also $CYCLOPS_HOST)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the manifest itself")
	return cmd
}

// manifestBytes reads the manifest that word names: a URL, a file, or a job's.
func (app *App) manifestBytes(ctx context.Context, hostFlag, word string) ([]byte, error) {
	from, err := app.locate(ctx, hostFlag, word)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	return from.data, nil
}

func (app *App) printManifest(data []byte, asJSON bool) error {
	if asJSON {
		var out bytes.Buffer
		if err := json.Indent(&out, data, "", "  "); err != nil {
			return api.Errorf(api.Invalid, "", "unable to read manifest: %w", err)
		}
		out.WriteByte('\n')
		_, err := app.Out.Write(out.Bytes())
		return err
	}
	m, err := decodeManifest(data)
	if err != nil {
		return err
	}
	app.describe(m)
	return nil
}

// describe prints a manifest for a person.
func (app *App) describe(m *manifest.Manifest) {
	colour := term.UseColour(app.Out)
	line := func(key, format string, args ...any) {
		fmt.Fprintf(app.Out, "%s %s\n", term.Paint(colour, term.Dim, fmt.Sprintf("%-10s", key)), term.Clean(fmt.Sprintf(format, args...)))
	}
	line("job", "%s", m.Job)
	if m.Name != "" {
		line("name", "%s", m.Name)
	}
	fmt.Fprintf(app.Out, "%s %s\n", term.Paint(colour, term.Dim, "state     "), term.Paint(colour, stateColour(m.State), string(m.State)))
	if m.Reason != "" {
		line("reason", "%s", m.Reason)
	}
	line("host", "%s, executor %s, store %s", m.Host, m.Executor, m.Store)
	if m.Started != nil {
		line("ran", "%s, until %s", human.Duration(m.Ended.Sub(*m.Started)), m.Ended.Local().Format(time.DateTime))
	}
	for _, s := range m.Steps {
		if s.Name != "" {
			line("step", "%-12s %s", s.Name, stepText(api.StepInfo{Started: s.Started, Ended: s.Ended, ExitCode: s.ExitCode}, m.Ended))
		}
	}
	printManifestSummary(line, m)
}

func newManifestVerifyCommand(app *App) *cobra.Command {
	var host string
	cmd := &cobra.Command{
		Use:   "verify JOB|MANIFEST",
		Short: "Check that every artifact is there and matches its digest",
		Long:  "Read every artifact of a manifest and compare it with its digest. Prints what does not match.\n" + jobHelp,
		Args:  cobra.ExactArgs(1),
		RunE:  func(cmd *cobra.Command, args []string) error { return app.verify(cmd.Context(), host, args[0]) },
	}
	cmd.Flags().StringVarP(&host, "host", "H", "", "host of the job (also $CYCLOPS_HOST)")
	return cmd
}

func newManifestSchemaCommand(app *App) *cobra.Command {
	return &cobra.Command{
		Use:       "schema [manifest|job]",
		Short:     "Print the JSON Schema of a document",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"manifest", "job"},
		RunE: func(_ *cobra.Command, args []string) error {
			data := schema.Manifest
			if firstOf(args...) == "job" {
				data = schema.Job
			}
			_, err := app.Out.Write(data())
			return err
		},
	}
}
