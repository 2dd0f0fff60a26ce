package cli

import (
	"context"
	"path"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote/fetch"
	"github.com/cyclops-fpga/cyclops/remote/project"
)

// liveEvery is how often a running job is asked for what it wrote. Nothing announces that a file has grown.
const liveEvery = 2 * time.Second

// liveFetch brings files here while a job runs, beside everything else. Whatever goes wrong is said once and
// disturbs nothing.
type liveFetch struct {
	stop func()
	done chan struct{}
}

// live describes whose files come where.
type live struct {
	host     *openHost
	job      string
	patterns []string
	request  fetch.Request // its manifest is made here
}

// checkLive finds a pattern that can match nothing.
func checkLive(patterns []string) error {
	for i, p := range patterns {
		if err := project.CheckOutput(p); err != nil {
			return api.Errorf(api.Usage, "--fetch-while-running takes globs below the project's root", "%w", err)
		}
		patterns[i] = path.Clean(p)
	}
	return nil
}

// fetchWhileRunning begins; end it before the outputs are fetched. Without patterns it does nothing.
func (app *App) fetchWhileRunning(ctx context.Context, l live) *liveFetch {
	if len(l.patterns) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	f := &liveFetch{stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(f.done)
		app.pollFiles(ctx, l)
	}()
	return f
}

// fetchLive begins for this job and this tree.
func (t *trip) fetchLive(ctx context.Context, patterns []string) *liveFetch {
	return t.app.fetchWhileRunning(ctx, live{t.host, t.job.ID, patterns, t.request()})
}

// end waits until nothing is put in place any more.
func (f *liveFetch) end() {
	if f != nil {
		f.stop()
		<-f.done
	}
}

func (app *App) pollFiles(ctx context.Context, l live) {
	l.request.Manifest, l.request.Patterns = &manifest.Manifest{Job: l.job}, l.patterns
	placer, err := fetch.NewLive(l.request, app.warn)
	if err != nil {
		app.warn("nothing is fetched while the job runs: %v", err)
		return
	}
	defer placer.Close()
	var source *fetch.SFTP
	defer func() {
		if source != nil {
			source.Close()
		}
	}()
	said := false
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		list, err := l.host.client.Files(ctx, l.job, l.patterns)
		if err != nil && !said && ctx.Err() == nil && api.KindOf(err) != api.Unreachable && api.KindOf(err) != api.LostContact {
			said = true
			app.warn("unable to ask for what the job wrote: %v", err)
		}
		if source == nil && len(list.Files) > 0 {
			source = app.hostFiles(l.host.conn, list.Dir)
		}
		placer.Take(ctx, source, list.Files)
	}
}
