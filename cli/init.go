package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/project"
	"github.com/spf13/cobra"
)

func newInitCommand(app *App) *cobra.Command {
	var host string
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a cyclops.toml to begin with",
		Long:  "Write a cyclops.toml in DIR, by default here, that makes it a project's root and names a first job.",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			return app.initProject(dir, host)
		},
	}
	cmd.Flags().StringVarP(&host, "host", "H", "", "host that the project's jobs run on")
	return cmd
}

func (app *App) initProject(dir, host string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("unable to find the directory: %w", err)
	}
	path := filepath.Join(dir, project.FileName)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return api.Errorf(api.Conflict, "edit it, or remove it first", "%s is there already", path)
	}
	if err != nil {
		return api.Errorf(api.Usage, "", "unable to write %s: %w", project.FileName, err)
	}
	_, err = file.WriteString(firstFile(dir, host))
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("unable to write %s: %w", path, err)
	}
	fmt.Fprintln(app.Out, path)
	return nil
}

// firstFile is a cyclops.toml for what is in dir.
func firstFile(dir, host string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name = %q\n", filepath.Base(dir))
	if host != "" {
		fmt.Fprintf(&b, "host = %q\n", host)
	}
	command := "echo replace this by your build"
	for _, try := range []struct{ file, command string }{
		{"Makefile", "make"}, {"makefile", "make"}, {"build.tcl", "vivado -mode batch -source build.tcl"}, {"build.sh", "./build.sh"},
	} {
		if _, err := os.Stat(filepath.Join(dir, try.file)); err == nil {
			command = try.command
			break
		}
	}
	fmt.Fprintf(&b, `
# What comes back by itself when a job ends. Without it: every file that the
# job made or changed.
# [outputs]
# fetch = ["build/*.bit", "build/*.rpt"]

[jobs.build]        # cyclops run build
run = %q
`, command)
	return b.String()
}
