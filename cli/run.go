package cli

import (
	"context"
	"fmt"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/human"
	"github.com/spf13/cobra"
)

type runFlags struct {
	jobFlags
	shimFlags
	screenFlags
	forwardFlags
	detach     bool
	statusFile string
}

func newRunCommand(app *App) *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [flags] [--] CMD… | run [flags] JOBNAME",
		Short: "Run a command on a host as if it ran here",
		Long: `Send what changed in this tree to the host, run the command there, show its
output as it is written, bring its files back and exit with its exit code.

A single word that cyclops.toml names as a job runs that job; after -- it is
always a command. Flags end at the command's first word.`,
		Example: "  cyclops run -- vivado -mode batch -source build.tcl\n  cyclops run build\n  cyclops run -H lab -c 'make 2>&1 | tee build.log'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return asJob(app.runOrLocal(cmd.Context(), &f, args, cmd.ArgsLenAtDash() == 0))
		},
	}
	f.jobFlags.register(cmd.Flags())
	f.registerShim(cmd.Flags())
	f.screenFlags.register(cmd.Flags())
	f.registerTerminal(cmd.Flags())
	f.forwardFlags.register(cmd.Flags())
	cmd.Flags().BoolVarP(&f.detach, "detach", "d", false, "do not wait: print the job's id, as submit does")
	cmd.Flags().StringVar(&f.statusFile, "status-file", "", "write the job's id and how it ended to `FILE` as JSON")
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// run takes a job its whole way. CONTRIBUTING.md walks it through the files.
func (app *App) run(ctx context.Context, f *runFlags, args []string, dashed bool) error {
	if f.detach && len(f.forwardFlags.words) > 0 {
		return api.Errorf(api.Usage, "cyclops forward JOB "+f.forwardFlags.words[0]+" carries ports later", "-d does not stay to carry ports, as -L asks")
	}
	if f.detach {
		return app.submit(ctx, &f.jobFlags, args, dashed)
	}
	signals, ctx := app.watchSignals(ctx)
	defer signals.Close()
	t, err := app.load(ctx, &f.jobFlags, args, dashed, manifest.Interactive)
	if err != nil {
		return err
	}
	defer t.Close()
	if err := t.show(&f.screenFlags, signals); err != nil {
		return err
	}
	ports, err := t.forward(ctx, f.forwardFlags)
	if err != nil {
		return err
	}
	defer ports.close()
	if err := t.snapshot(ctx); err != nil {
		return err
	}
	if err := t.ship(ctx, &t.ask); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return t.takeBack(ctx)
	}
	t.sayOutside(args)
	ports.start(&t.screen.contact.Patience)
	t.live = t.fetchLive(ctx, f.whileRunning)
	defer t.live.end()
	if err := t.follow(ctx); err != nil {
		return signals.explain(t.job.ID, err)
	}
	ports.finish()
	undelivered := t.fetch(ctx)
	t.conclude(undelivered)
	return signals.settle(ctx, t.manifest, t.exit(f.statusFile, undelivered), undelivered)
}

// show prepares the screen, and the terminal of the job if it gets one.
func (t *trip) show(f *screenFlags, signals *signalWatch) (err error) {
	if t.screen, err = t.app.newScreen(f, t.config, signals, t.status); err != nil {
		return err
	}
	if err = f.fillTerminal(t.app, t.job); err != nil {
		return err
	}
	t.job.Stdin = true
	t.ask = t.screen.of(t.host.Name, t.job.ID, t.job.Terminal != nil, true)
	t.ask.Artifacts = pushedLimit
	return nil
}

// exit turns how the job ended into run's exit code and, where that is not the job's own, a last line.
func (t *trip) exit(statusFile string, undelivered error) error {
	m := t.manifest
	code := jobExit(m.State, m.ExitCode, m.Signal, m.Started != nil)
	err := &exitError{code: code, err: explain(m), lacks: m.Extra["notStarted"] != nil && code == exitNotFound}
	if undelivered == nil && m.Reason != "" {
		undelivered = api.Errorf(api.Undelivered, "cyclops show "+m.Job, "job %s succeeded, but: %s", m.Job, m.Reason)
	}
	if undelivered != nil && m.State == manifest.Succeeded {
		err = &exitError{code: exitCyclops, err: undelivered}
	}
	if statusFile != "" {
		if failed := t.writeStatus(statusFile, err.code); failed != nil {
			err = &exitError{code: exitCyclops, err: failed}
		}
	}
	if err.code == 0 && err.err == nil {
		return nil
	}
	return err
}

// explain says why the exit code is not the job's own, or nothing.
func explain(m *manifest.Manifest) error {
	switch {
	case m.State == manifest.Lost:
		return api.Errorf(api.LostContact, "cyclops logs "+m.Job+" shows what it wrote; cyclops retry "+m.Job+" runs it again", "the outcome of job %s is not known: %s", m.Job, m.Reason)
	case m.State == manifest.TimedOut:
		return api.Errorf(api.Cancelled, "--timeout sets the limit", "job %s timed out: %s", m.Job, m.Reason)
	case m.State == manifest.Cancelled && m.Started == nil:
		return api.Errorf(api.Cancelled, "cyclops retry "+m.Job+" runs it after all", "job %s was cancelled before it started: %s", m.Job, m.Reason)
	case m.State == manifest.Failed && m.Signal == "" && m.ExitCode != nil && *m.ExitCode == 0:
		return api.Errorf(api.Cancelled, "cyclops show "+m.Job, "job %s failed: %s", m.Job, m.Reason)
	case m.ExitCode == nil && m.Signal == "":
		return api.Errorf(api.Internal, "cyclops show "+m.Job, "job %s failed before its command ran: %s", m.Job, m.Reason)
	}
	return nil
}

// conclude tells a person on a terminal what became of the job.
func (t *trip) conclude(undelivered error) {
	t.status.Say(nil)
	if (!term.IsTerminal(t.app.Err) || t.app.asTool) && !t.app.verbose {
		return
	}
	m, colour := t.manifest, term.UseColour(t.app.Err)
	if m.Started == nil {
		return
	}
	text := fmt.Sprintf("%s after %s", m.State, human.Duration(m.Ended.Sub(*m.Started)))
	if t.fetched != nil && t.fetched.Files > 0 && undelivered == nil {
		text += fmt.Sprintf(", %s fetched (%s)", count(t.fetched.Files, "file", "files"), human.Size(t.fetched.Bytes))
	}
	fmt.Fprintf(t.app.stderr, "%s %s\n", term.Paint(colour, stateColour(m.State), "●"), text)
}
