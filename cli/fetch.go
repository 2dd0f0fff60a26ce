package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/human"
	"github.com/cyclops-fpga/cyclops/remote/fetch"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/journal"
	"github.com/cyclops-fpga/cyclops/remote/ship"
	"github.com/spf13/cobra"
)

type fetchOptions struct {
	host string
	dir  string
	all  bool

	patience patienceFlag
}

func newFetchCommand(app *App) *cobra.Command {
	var o fetchOptions
	cmd := &cobra.Command{
		Use:   "fetch JOB|MANIFEST [PATTERN…]",
		Short: "Bring a job's artifacts here, by its manifest",
		Long: `Bring artifacts of an ended job to where a local run would have put them: the
tree that the job came from, else this directory. Without a PATTERN it is what
run brings by itself. Every file is checked against its digest; a file that you
changed is never overwritten; a fetch that was interrupted goes on where it was.

MANIFEST is the path of a manifest.json, or sftp://HOST/PATH/manifest.json,
which needs nothing but sshd there.` + "\n" + jobHelp,
		Example: "  cyclops fetch @1\n  cyclops fetch build 'build/*.rpt'\n  cyclops fetch sftp://lab/home/me/.cyclops/jobs/ID/manifest.json",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.fetch(cmd.Context(), &o, args[0], args[1:])
		},
	}
	cmd.Flags().StringVarP(&o.host, "host", "H", "", "host of the job (also $CYCLOPS_HOST)")
	cmd.Flags().StringVarP(&o.dir, "directory", "C", "", "put the files below `DIR`")
	cmd.Flags().BoolVar(&o.all, "all", false, "bring everything the manifest lists")
	o.patience.register(cmd.Flags())
	return cmd
}

func (app *App) fetch(ctx context.Context, o *fetchOptions, word string, patterns []string) error {
	config, err := hosts.Load(app.dirs)
	if err != nil {
		return err
	}
	status := term.NewStatus(app.stderr)
	defer status.Close()
	app.status = status
	contact := app.newContact(o.patience, config, firstOf(o.host, word), status)
	defer contact.quiet()
	from, err := app.locate(ctx, o.host, word)
	if err != nil {
		return err
	}
	defer from.Close()
	m, err := from.decode()
	if err != nil {
		return err
	}
	r := fetch.Request{Manifest: m, Root: o.dir, Dirs: app.dirs, Patterns: patterns, All: o.all, ClockOffset: from.ahead}
	if r.Root == "" {
		r.Root = app.home(from.id, &r)
	}
	report, err := app.place(ctx, r, from.source)
	if err != nil {
		return err
	}
	app.sayReport(report)
	if len(patterns) > 0 && report.Files+report.Same+len(report.Conflicts)+len(report.Failed)+len(report.Refused)+len(report.Stale) == 0 {
		return api.Errorf(api.NotFound, "cyclops show "+m.Job+" lists them", "no artifact of job %s matches %s", m.Job, strings.Join(patterns, " "))
	}
	for _, name := range report.Stale {
		app.warn("output %s is stale: this job did not write it", name)
	}
	if term.IsTerminal(app.Err) || app.verbose {
		fmt.Fprintf(app.stderr, "%s fetched (%s), %d here already\n", count(report.Files, "file", "files"), human.Size(report.Bytes), report.Same)
	}
	return report.Err()
}

// home is the tree that a job came from, if it is still there; else this directory.
func (app *App) home(id string, r *fetch.Request) string {
	entry, ok := app.treeOf(id, "the files go to this directory")
	if !ok {
		return "."
	}
	r.Pinned = fetch.PinnedByMemory(ship.Recall(app.dirs, entry.Store, entry.Workspace), r.Manifest.Input.Snapshot)
	return entry.Root
}

// treeOf finds the tree that a job was sent from, if this machine has it; instead says what
// happens where it had it once.
func (app *App) treeOf(id, instead string) (entry journal.Entry, ok bool) {
	entry, err := app.journal().Lookup(id)
	if id == "" || err != nil || entry.Root == "" {
		return entry, false
	}
	if info, err := os.Stat(entry.Root); err != nil || !info.IsDir() {
		app.warn("%s is gone; %s", entry.Root, instead)
		return entry, false
	}
	return entry, true
}

// place puts what r asks for in place and shows how far it is.
func (app *App) place(ctx context.Context, r fetch.Request, source fetch.Source) (*fetch.Report, error) {
	placer, err := fetch.New(r)
	if err != nil {
		return nil, err
	}
	status := app.status
	if status == nil {
		status = term.NewStatus(app.stderr)
		defer status.Close()
	}
	began := time.Now()
	status.Say(func() string { return fetchText(placer.Progress(), time.Since(began)) })
	defer status.Say(nil)
	told := app.tellFetching(placer)
	err = placer.Rest(ctx, source)
	told()
	report, closeErr := placer.Close()
	return report, errors.Join(err, closeErr)
}

// tellEvery is the time between two words on how far a fetch is.
const tellEvery = 100 * time.Millisecond

// tellFetching tells whoever wants to know how far a fetch is, until the function it returns is called.
func (app *App) tellFetching(placer *fetch.Placer) (done func()) {
	if app.fetching == nil {
		return func() {}
	}
	over := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		for every := time.Tick(tellEvery); ; {
			select {
			case <-every:
				app.fetching(placer.Progress())
			case <-over:
				app.fetching(placer.Progress())
				return
			}
		}
	})
	return func() { close(over); telling.Wait() }
}
