package cli

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// eachJob does act for every job, goes on after a failure, and reports each.
func (app *App) eachJob(ctx context.Context, hostFlag string, refs []string, act func(context.Context, *openHost, string) error) error {
	var failures []error
	for _, ref := range refs {
		if err := app.oneJob(ctx, hostFlag, ref, act); err != nil {
			failures = append(failures, err)
		}
	}
	return app.reportAll(failures)
}

func (app *App) oneJob(ctx context.Context, hostFlag, ref string, act func(context.Context, *openHost, string) error) error {
	host, id, err := app.find(ctx, hostFlag, ref)
	if err != nil {
		return err
	}
	defer host.Close()
	return act(ctx, host, id)
}

// reportAll returns one failure as it is, and reports several.
func (app *App) reportAll(failures []error) error {
	if len(failures) < 2 {
		return errors.Join(failures...)
	}
	for _, err := range failures {
		report(app.stderr, term.UseColour(app.Err), err)
	}
	return &exitError{code: exitCode(failures[0])}
}

// jobsOn are jobs of one host.
type jobsOn struct {
	host *openHost
	ids  []string
}

// byHost does act once for every host, with all of its jobs. act returns why it could not be done for
// some of them.
func (app *App) byHost(ctx context.Context, hostFlag string, refs []string, act func(context.Context, *openHost, []string) []error) error {
	groups, failures := app.findAll(ctx, hostFlag, refs)
	for _, g := range groups {
		failures = append(failures, act(ctx, g.host, g.ids)...)
		g.host.Close()
	}
	return app.reportAll(failures)
}

// findAll is find for many jobs: the journal is read once and every host is opened once. What is not
// found is no reason to leave out the others.
func (app *App) findAll(ctx context.Context, hostFlag string, refs []string) (groups []*jobsOn, failures []error) {
	known := app.knownIDs(hostFlag)
	at := map[string]*jobsOn{}
	for _, ref := range refs {
		name, id := hostOf(hostFlag, ref, known)
		g := at[name]
		if g == nil || !manifest.ValidID(id) {
			host, found, err := app.find(ctx, hostFlag, ref)
			if err != nil {
				failures = append(failures, err)
				continue
			}
			id = found
			if g = at[host.Name]; g != nil {
				host.Close()
			} else {
				g = &jobsOn{host: host}
				at[host.Name], groups = g, append(groups, g)
			}
			if manifest.ValidID(ref) {
				at[name] = g // whole ids need not be looked for on a host that is open
			}
		}
		if !slices.Contains(g.ids, id) {
			g.ids = append(g.ids, id)
		}
	}
	return groups, failures
}

// hostOf takes the host off ref, or says where the journal has the job; "" is the host that run would choose.
func hostOf(hostFlag, ref string, known map[string]string) (name, id string) {
	if i := strings.LastIndexByte(ref, '/'); i > 0 {
		return ref[:i], ref[i+1:]
	}
	if hostFlag != "" {
		return hostFlag, ref
	}
	return known[ref], ref
}

// knownIDs says on which host the journal has each job, where nothing else says it.
func (app *App) knownIDs(hostFlag string) map[string]string {
	if hostFlag != "" {
		return nil
	}
	list, _, err := app.journal().List()
	if err != nil {
		return nil // find says why
	}
	known := make(map[string]string, len(list))
	for _, e := range list {
		known[e.ID] = e.Host
	}
	return known
}

// jobErrors are the failures that a host answered.
func jobErrors(failed []api.JobError) []error {
	var all []error
	for _, f := range failed {
		if f.Error != nil {
			all = append(all, f.Error)
		}
	}
	return all
}
