package cli

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/spf13/cobra"
)

func newShimLsCommand(app *App) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List shims, and what keeps one from being found",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return app.shimLs(asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// shimReport is what shim ls prints, version 1.
type shimReport struct {
	Version int         `json:"version"`
	Shims   []shimEntry `json:"shims"`
}

type shimEntry struct {
	Tool     string   `json:"tool"`
	Host     string   `json:"host,omitempty"`
	File     string   `json:"file"`
	Flags    []string `json:"flags"`
	InPath   bool     `json:"inPath"`
	Shadowed string   `json:"shadowedBy,omitempty"` // the file that PATH finds instead
}

func (app *App) shimLs(asJSON bool) error {
	list, err := app.shims("")
	if err != nil {
		return err
	}
	report := shimReport{Version: 1, Shims: []shimEntry{}}
	for _, s := range list {
		report.Shims = append(report.Shims, s.entry(os.Getenv("PATH")))
	}
	if asJSON {
		return app.printJSON(report)
	}
	table := term.NewTable("TOOL", "HOST", "FLAGS", "FILE", "FOUND")
	for _, e := range report.Shims {
		table.Row(e.Tool, dash(e.Host), dash(strings.Join(e.Flags, " ")), e.File, e.found())
		if !e.InPath || e.Shadowed != "" {
			table.Colour(4, term.Warn)
		}
	}
	return table.Write(app.Out, term.UseColour(app.Out))
}

func (s *shim) entry(path string) shimEntry {
	name := s.name()
	e := shimEntry{Tool: name, Host: s.Host, File: s.file, Flags: append([]string{}, s.Flags...)}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		switch {
		case sameFile(file, s.file):
			e.InPath = true
			return e
		case e.Shadowed == "" && isExecutable(file):
			e.Shadowed = file
		}
	}
	e.Shadowed = "" // of no interest while PATH does not hold it at all
	return e
}

func (e *shimEntry) found() string {
	switch {
	case !e.InPath:
		return "not in PATH"
	case e.Shadowed != "":
		return "no: " + e.Shadowed + " comes first"
	}
	return "yes"
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

func isExecutable(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
