package cli

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/spf13/cobra"
)

// versionReport is what `version --json` prints, version 1.
type versionReport struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	API      int    `json:"api"`
	Manifest int    `json:"manifest"`
}

func newVersionCommand(app *App) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program and of what it speaks",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			r := versionReport{api.BuildVersion(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, api.Version, manifest.Version}
			if asJSON {
				return app.printJSON(r)
			}
			_, err := fmt.Fprintf(app.Out, "cyclops %s (%s, %s, API %d, manifest %d)\n", r.Version, r.Platform, r.Go, r.API, r.Manifest)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (app *App) printJSON(v any) error {
	encoder := json.NewEncoder(app.Out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
