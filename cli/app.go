// Package cli is the command line: a file for each verb, and the streams, progress and exit
// codes that they share.
package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/connect"
	"github.com/cyclops-fpga/cyclops/remote/fetch"
	"github.com/cyclops-fpga/cyclops/remote/place"
	"github.com/spf13/cobra"
)

// App is what every verb works with.
type App struct {
	term.Streams
	stdout    *term.Output // the same streams, where a write must not keep a command from ending
	stderr    *term.Output
	dirs      place.Dirs
	self      []string // the command that starts this program again
	sshConfig string
	status    *term.Status // of the job under way; nil without one
	contact   *contact     // of the command under way; nil: nobody asked yet
	screen    *atomic.Pointer[screen]
	inherited inherited
	fetching  func(fetch.Progress) // told how far a fetch is, where there is no terminal to show it on; nil: nobody
	verbose   bool
	asTool    bool // called as a tool, by a shim: nothing of its own when all is well
}

// Main runs the command line and returns the process's exit code. executor is the other role
// that this binary can play: `cyclops executor …`.
func Main(args []string, executor func(args []string) int) int {
	open := keepInherited()
	if words, ok := executorRole(args); ok {
		return executor(words)
	}
	if connect.AskpassRole(args) {
		return connect.Askpass(args, os.Stdout)
	}
	streams := term.Standard()
	app := &App{Streams: streams, stdout: term.NewOutput(streams.Out), stderr: term.NewOutput(streams.Err), dirs: place.Default(), self: []string{self()}, screen: new(atomic.Pointer[screen]), inherited: open}
	ctx, stop := untilInterrupt()
	defer stop()
	root := newRootCommand(app)
	root.SetArgs(args[1:])
	err := root.ExecuteContext(ctx)
	if err != nil {
		report(app.stderr, term.UseColour(app.Err), err)
	}
	return exitCode(err)
}

// stopOutput keeps output that nobody takes from holding up the end of a command.
func (app *App) stopOutput() {
	app.stdout.Stop()
	app.stderr.Stop()
}

// untilInterrupt returns a context that Ctrl-C ends, unless it is to be ignored, as behind a script's &.
func untilInterrupt() (context.Context, context.CancelFunc) {
	if signal.Ignored(os.Interrupt) {
		return context.WithCancel(context.Background())
	}
	return signal.NotifyContext(context.Background(), os.Interrupt)
}

// executorRole tells whether this process is to be the executor: by its first word, or by the
// name under which install put this program on a host.
func executorRole(args []string) (words []string, ok bool) {
	name := filepath.Base(args[0])
	if name == "current" || strings.HasPrefix(name, "cyclopsd") {
		return args[1:], true
	}
	if len(args) > 1 && args[1] == "executor" {
		return args[2:], true
	}
	return nil, false
}

func self() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

const jobHelp = `
JOB is an id, the unique beginning of one, a name (its newest job), @1 for your
latest job, @2 for the one before, or HOST/ID.`

func newRootCommand(app *App) *cobra.Command {
	root := &cobra.Command{
		Use:   "cyclops",
		Short: "Run slow, licensed, hardware-bound tools on the machine that has them",
		Long: `Cyclops runs tools on the machine that has them, as if they ran here: it sends
what changed in your tree, streams the log, brings the outputs back and exits
with the tool's own code.

  cyclops run -- make            run make on the host, as if here
  cyclops submit -- make         the same, without waiting
  cyclops ps                     what runs and ran
  cyclops install HOST           make a machine you reach by ssh a host`,
		Args:              cobra.ArbitraryArgs,
		RunE:              app.bare,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.PersistentFlags().BoolVarP(&app.verbose, "verbose", "v", false, "say what is being done")
	root.PersistentFlags().StringVar(&app.sshConfig, "ssh-config", os.Getenv("CYCLOPS_SSH_CONFIG"), "read this `FILE` instead of ~/.ssh/config")
	root.SetOut(app.Out)
	root.SetErr(app.Err)
	root.SetFlagErrorFunc(flagError)
	root.AddGroup(&cobra.Group{ID: "jobs", Title: "Jobs:"}, &cobra.Group{ID: "artifacts", Title: "Artifacts:"},
		&cobra.Group{ID: "hosts", Title: "Hosts:"}, &cobra.Group{ID: "other", Title: "Other:"})
	addGroup(root, "jobs", newRunCommand(app), newSubmitCommand(app), newPsCommand(app), newShowCommand(app), newLogsCommand(app), newAttachCommand(app),
		newWaitCommand(app), newShellCommand(app), newForwardCommand(app), newCancelCommand(app), newRmCommand(app), newPinCommand(app), newUnpinCommand(app), newRetryCommand(app), newReprioritiseCommand(app))
	addGroup(root, "artifacts", newFetchCommand(app), newCpCommand(app), newManifestCommand(app))
	addGroup(root, "hosts", newHostsCommand(app), newInstallCommand(app), newUninstallCommand(app), newDoctorCommand(app),
		newDrainCommand(app), newResumeCommand(app), newGCCommand(app), newShimCommand(app))
	addGroup(root, "other", newTuiCommand(app), newInitCommand(app), newVersionCommand(app), newCompletionCommand(), newLinkCommand(), newGuardCommand())
	root.SetHelpCommandGroupID("other")
	usageErrors(root)
	return root
}

// bare is cyclops without a verb, which on a terminal is the screen, or with a word that is none.
func (app *App) bare(root *cobra.Command, args []string) error {
	switch {
	case len(args) == 0 && app.onTerminal():
		return app.tui(root.Context(), "")
	case len(args) == 0:
		return root.Help()
	}
	hint := "cyclops --help lists the verbs; a command to run comes after cyclops run --"
	if near := root.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return api.Errorf(api.Usage, hint, "%q is no verb of cyclops", args[0])
}

func addGroup(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = group
		root.AddCommand(c)
	}
}

// usageErrors gives cobra's complaints about arguments the kind and the hint that all errors have.
func usageErrors(root *cobra.Command) {
	for _, c := range root.Commands() {
		usageErrors(c)
		if check := c.Args; check != nil {
			c.Args = func(cmd *cobra.Command, args []string) error { return usageError(cmd, check(cmd, args)) }
		}
	}
}

func flagError(cmd *cobra.Command, err error) error { return usageError(cmd, err) }

func usageError(cmd *cobra.Command, err error) error {
	if err == nil || errors.As(err, new(*api.Error)) {
		return err
	}
	e := api.Errorf(api.Usage, strings.TrimSpace(cmd.UseLine()), "%s", firstLine(err.Error()))
	switch cmd.Name() {
	case "run", "wait", "attach", "shell":
		return asJob(e)
	}
	return e
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
