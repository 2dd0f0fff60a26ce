package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/filelock"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/spf13/cobra"
)

func newShimCommand(app *App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "shim",
		Short: "Have a tool's name run it on a host, for Makefiles and scripts",
		Long: `A shim is a small executable with a tool's name. First in PATH, it has make,
scripts and editors run the tool on the host, in the same place of the project,
unchanged: arguments, pipes, exit codes. Calls side by side share one workspace.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(newShimAddCommand(app), newShimLsCommand(app), newShimRmCommand(app))
	return cmd
}

func newShimAddCommand(app *App) *cobra.Command {
	var host, dir string
	var orLocal bool
	cmd := &cobra.Command{
		Use:     "add TOOL… [flags] [-- RUNFLAG…]",
		Short:   "Make shims, or change them",
		Long:    "Make shims for tools. What comes after -- are flags of run, for every call.",
		Example: "  cyclops shim add vivado vitis_hls --host lab\n  cyclops shim add vivado -- --need licence.vivado=1 --output 'build/**'",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			tools, flags := args, []string(nil)
			if n := cmd.ArgsLenAtDash(); n >= 0 {
				tools, flags = args[:n], args[n:]
			}
			if orLocal {
				flags = append([]string{"--or-local"}, flags...)
			}
			return app.shimAdd(tools, host, dir, flags)
		},
	}
	cmd.Flags().StringVarP(&host, "host", "H", "", "host that the tool runs on (default: the one that run would choose)")
	cmd.Flags().StringVar(&dir, "dir", "", "put the shims into `DIR` instead of the user's own directory for them")
	cmd.Flags().BoolVar(&orLocal, "or-local", false, "run the local tool when the host cannot")
	return cmd
}

func newShimRmCommand(app *App) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "rm TOOL…",
		Short: "Remove shims",
		Args:  cobra.MinimumNArgs(1),
		RunE:  func(_ *cobra.Command, args []string) error { return app.shimRm(args, dir) },
	}
	cmd.Flags().StringVar(&dir, "dir", "", "remove those in `DIR` only")
	return cmd
}

func (app *App) shimAdd(tools []string, host, dir string, flags []string) error {
	if len(tools) == 0 {
		return api.Errorf(api.Usage, "cyclops shim add TOOL…", "no tool is named")
	}
	for _, tool := range tools {
		if !toolName.MatchString(tool) {
			return api.Errorf(api.Usage, "", "%q is no plain name of a tool", tool)
		}
		if tool == "cyclops" || tool == "cyclopsd" {
			return api.Errorf(api.Usage, "", "a shim of %s would call itself on the host instead of Cyclops here", tool)
		}
	}
	if err := app.checkShimFlags(flags); err != nil {
		return err
	}
	if err := app.checkHost(host); err != nil {
		return err
	}
	dir, err := app.shimDir(dir)
	if err != nil {
		return err
	}
	for _, tool := range tools {
		s := &shim{Tool: tool, Host: host, Flags: flags, file: filepath.Join(dir, tool)}
		if err := s.write(app.self[0]); err != nil {
			return err
		}
		fmt.Fprintln(app.Out, s.file)
	}
	app.sayPath(dir)
	return nil
}

// checkShimFlags finds a mistake now rather than in the middle of a build.
func (app *App) checkShimFlags(words []string) error {
	run := newRunCommand(app)
	err := run.ParseFlags(words)
	flags := run.Flags()
	switch {
	case err != nil:
		return api.Errorf(api.Usage, "behind -- come flags of run", "%s", firstLine(err.Error()))
	case flags.NArg() > 0:
		return api.Errorf(api.Usage, "behind -- come flags of run; the tool's own arguments come with each call", "%q is no flag of run", flags.Arg(0))
	case flags.Changed("command") || flags.Changed("detach"):
		return api.Errorf(api.Usage, "", "a shim runs its tool and waits for it: -c and -d do not go with that")
	}
	return nil
}

func (app *App) checkHost(name string) error {
	if name == "" {
		return nil
	}
	config, err := hosts.Load(app.dirs)
	if err == nil {
		_, err = config.Find(name)
	}
	return err
}

// shimDir makes the directory and remembers it, for ls and rm.
func (app *App) shimDir(dir string) (string, error) {
	if dir == "" {
		dir = filepath.Join(app.dirs.Data, "shims")
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return "", api.Errorf(api.Usage, "choose another directory with --dir", "unable to make the directory for shims: %w", err)
	}
	return dir, app.rememberShimDir(dir)
}

func (app *App) shimDirsFile() string { return filepath.Join(app.dirs.State, "shims") }

func (app *App) shimDirs() ([]string, error) {
	data, err := os.ReadFile(app.shimDirsFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("unable to read where shims are: %w", err)
	}
	return strings.FieldsFunc(string(data), func(r rune) bool { return r == '\n' }), nil
}

func (app *App) rememberShimDir(dir string) error {
	unlock, err := filelock.Lock(app.shimDirsFile() + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	known, err := app.shimDirs()
	if err != nil || slices.Contains(known, dir) {
		return err
	}
	text := strings.Join(append(known, dir), "\n") + "\n"
	if err := os.WriteFile(app.shimDirsFile(), []byte(text), 0o600); err != nil {
		return fmt.Errorf("unable to remember where shims are: %w", err)
	}
	return nil
}

// sayPath tells how make finds the shims, where it does not yet.
func (app *App) sayPath(dir string) {
	if !slices.Contains(filepath.SplitList(os.Getenv("PATH")), dir) {
		fmt.Fprintf(app.Err, "cyclops: put them first in PATH, for example in ~/.profile: export PATH=%s:\"$PATH\"\n", shellQuote(dir))
	}
}

// shims lists the shims in a directory, or in all that are known.
func (app *App) shims(dir string) ([]*shim, error) {
	dirs, err := app.shimDirs()
	if dir != "" {
		dir, err = filepath.Abs(dir)
		dirs = []string{dir}
	}
	if err != nil {
		return nil, err
	}
	var list []*shim
	for _, d := range dirs {
		entries, err := os.ReadDir(d)
		if err != nil {
			continue // a directory that is gone has no shims
		}
		for _, e := range entries {
			if s, err := readShim(filepath.Join(d, e.Name())); err == nil && s != nil {
				list = append(list, s)
			}
		}
	}
	return list, nil
}

// shimRm removes every tool's shims, one that is named twice once. Nothing is removed if one is not there.
func (app *App) shimRm(tools []string, dir string) error {
	list, err := app.shims(dir)
	if err != nil {
		return err
	}
	for _, tool := range tools {
		if !slices.ContainsFunc(list, func(s *shim) bool { return s.name() == tool }) {
			return api.Errorf(api.NotFound, "cyclops shim ls lists them", "there is no shim %s", tool)
		}
	}
	for _, s := range list {
		if !slices.Contains(tools, s.name()) {
			continue
		}
		if err := os.Remove(s.file); err != nil {
			return fmt.Errorf("unable to remove shim: %w", err)
		}
	}
	return nil
}
