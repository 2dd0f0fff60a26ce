package cli

import (
	"context"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
)

// find opens the host of the job that ref names and returns the job's id. The journal answers
// first; what it does not know is asked of the host that run would choose here.
func (app *App) find(ctx context.Context, hostFlag, ref string) (*openHost, string, error) {
	if i := strings.LastIndexByte(ref, '/'); i > 0 {
		hostFlag, ref = ref[:i], ref[i+1:]
	}
	if ref == "" { // an empty variable in a script must not pick somebody's newest job
		return nil, "", api.Errorf(api.Usage, "name an id, the beginning of one, a name, or @1 for your latest", "an empty word names no job")
	}
	if hostFlag == "" {
		entry, err := app.journal().Lookup(ref)
		if err == nil {
			host, err := app.openNamed(entry.Host)
			return host, entry.ID, err
		}
		if api.KindOf(err) != api.NotFound || strings.HasPrefix(ref, "@") {
			return nil, "", err
		}
	}
	host, err := app.open(ctx, hostFlag)
	if err != nil {
		return nil, "", err
	}
	id, err := app.findOn(ctx, host, ref)
	if err != nil {
		host.Close()
		return nil, "", err
	}
	return host, id, nil
}

func (app *App) openNamed(name string) (*openHost, error) {
	config, err := hosts.Load(app.dirs)
	if err != nil {
		return nil, err
	}
	host, err := config.Find(name)
	if err != nil {
		return nil, err
	}
	return app.dial(host), nil
}

// findOn returns the id of the job on h that ref names: an id, the beginning of one, or a name.
func (app *App) findOn(ctx context.Context, h *openHost, ref string) (string, error) {
	if ref == "" {
		return "", api.Errorf(api.Usage, "", "an empty word names no job")
	}
	if strings.HasPrefix(ref, "@") {
		entry, err := app.journal().Lookup(ref)
		if err == nil && entry.Host != h.Name {
			err = api.Errorf(api.Usage, "", "job %s is on host %s, not on %s", entry.ID, entry.Host, h.Name)
		}
		return entry.ID, err
	}
	if manifest.ValidID(ref) {
		return ref, nil
	}
	if manifest.ValidIDPrefix(ref) {
		page, err := h.client.List(ctx, remote.ListOptions{Prefix: ref, Limit: 2})
		if err != nil {
			return "", err
		}
		if len(page.Jobs) == 1 {
			return page.Jobs[0].ID, nil
		}
		if len(page.Jobs) > 1 {
			return "", api.Errorf(api.Ambiguous, "type more of the id", "%q is the beginning of several jobs' ids: %s, %s", ref, page.Jobs[0].ID, page.Jobs[1].ID)
		}
	}
	page, err := h.client.List(ctx, remote.ListOptions{Name: ref, Limit: 1})
	if err != nil {
		return "", err
	}
	if len(page.Jobs) == 0 {
		return "", api.Errorf(api.NotFound, "cyclops ps --all lists the jobs of a host", "no job %q on %s", ref, h.Name)
	}
	return page.Jobs[0].ID, nil
}

// recordRetry makes a retried job findable as the first one is.
func (app *App) recordRetry(ctx context.Context, h *openHost, id string, info api.JobInfo) error {
	entry, err := app.journal().Lookup(id)
	if err != nil {
		entry.Host = h.Name
		if hello, err := h.conn.Hello(ctx); err == nil {
			entry.Store = hello.Store
		}
	}
	entry.ID, entry.Name, entry.Created = info.ID, info.Name, info.Accepted
	return app.journal().Add(entry)
}
