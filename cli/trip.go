package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/human"
	"github.com/cyclops-fpga/cyclops/remote"
	"github.com/cyclops-fpga/cyclops/remote/fetch"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/project"
	"github.com/cyclops-fpga/cyclops/remote/scan"
)

// pushedLimit is how many bytes of artifacts may ride behind the result instead of coming by SFTP.
const pushedLimit = 1 << 20

// trip is one job on its way from this tree to the host and back.
type trip struct {
	ctx    context.Context // of the whole command
	app    *App
	status *term.Status
	flags  *jobFlags
	root   *project.Root
	job    *manifest.Job
	named  bool   // the command is a job of cyclops.toml
	kept   string // the workspace that this tree has without --isolated: what the host knows is remembered by it
	config *hosts.Config
	host   *openHost

	screen *screen    // nil: nobody waits for it
	ask    api.Follow // what it asks of the host

	greeted  chan greeting // what the host answered while the tree was read
	tree     *scan.Tree    // nil with --bare
	session  *remote.Session
	result   *api.Result
	manifest *manifest.Manifest
	live     *liveFetch // nil: nothing comes while the job runs
	placer   *fetch.Placer
	pinned   fetch.Pinned // of a job whose tree was not read now
	fetched  *fetch.Report
}

// greeting is what a host answers first.
type greeting struct {
	hello api.Hello
	err   error
}

// load reads what is to be run and where, and begins to connect: the host answers while the
// tree is read.
func (app *App) load(ctx context.Context, f *jobFlags, args []string, dashed bool, priority manifest.Priority) (*trip, error) {
	root, job, kept, err := app.loadJob(f, args, dashed)
	if err != nil {
		return nil, err
	}
	if job.Priority == "" {
		job.Priority = priority
	}
	t := &trip{app: app, flags: f, root: root, job: job, kept: kept, ctx: ctx}
	if t.config, err = hosts.Load(app.dirs); err != nil {
		return nil, err
	}
	if job.Outputs.Limit == 0 {
		job.Outputs.Limit = t.config.FetchLimitBytes()
	}
	host, err := app.chooseHost(ctx, f.host, root)
	if err != nil {
		return nil, err
	}
	t.status = term.NewStatus(app.stderr)
	t.status.Hold(app.asTool && !leadsGroup()) // others write to the same line
	app.status = t.status
	t.host = app.dial(host)
	if err := t.host.resolveAfter(ctx, app, f.after, job); err != nil {
		t.Close()
		return nil, err
	}
	if len(args) == 1 && !dashed {
		_, t.named = root.File.Jobs[args[0]]
	}
	t.greeted = make(chan greeting, 1)
	go func() {
		hello, err := t.host.conn.Hello(ctx)
		t.greeted <- greeting{hello, err}
	}()
	return t, nil
}

// resolveAfter turns the jobs of --after into ids on the same host.
func (h *openHost) resolveAfter(ctx context.Context, app *App, refs []string, job *manifest.Job) error {
	for _, ref := range refs {
		id, err := app.findOn(ctx, h, ref)
		if err != nil {
			return err
		}
		job.After = append(job.After, id)
	}
	return nil
}

// Close ends what the trip holds; the job goes on.
func (t *trip) Close() {
	t.status.Close()
	if t.session != nil {
		t.session.Close()
	}
	t.host.Close()
}

// snapshot reads the tree.
func (t *trip) snapshot(ctx context.Context) error {
	if t.flags.bare {
		return nil
	}
	tree, err := t.take(ctx)
	if err == nil {
		t.setTree(tree)
	}
	return err
}

func (t *trip) take(ctx context.Context) (*scan.Tree, error) {
	var progress atomic.Pointer[scan.Progress]
	t.status.Say(func() string {
		p := progress.Load()
		if p == nil {
			return "reading the tree"
		}
		return fmt.Sprintf("reading the tree: %d files, %s hashed", p.Files, human.Size(p.Hashed))
	})
	defer t.status.Say(nil)
	return scan.Take(ctx, scan.Options{
		Root: t.root.Dir, WithGit: t.root.File.Inputs.Git || t.flags.git, Dirs: t.app.dirs,
		Progress: func(p scan.Progress) { progress.Store(&p) },
	})
}

func (t *trip) setTree(tree *scan.Tree) {
	t.tree = tree
	t.job.Input = manifest.Input{Snapshot: tree.Root.Digest(), Files: tree.Files, Bytes: tree.Bytes, Git: tree.Git}
	t.job.Outputs.Exclude = tree.Excludes
}

// follow shows the job until it has ended and its result is here.
func (t *trip) follow(ctx context.Context) error {
	result, err := t.screen.follow(ctx, t.host.client, t.session, t.ask, remote.Handler{Result: t.takeResult, Artifact: t.takeArtifact})
	if err == nil && t.manifest == nil {
		_, err = decodeResult(result)
	}
	return err
}

// statusReport is what --status-file holds, version 1.
type statusReport struct {
	Version  int            `json:"version"`
	Job      string         `json:"job"`
	Host     string         `json:"host"`
	State    manifest.State `json:"state"`
	ExitCode int            `json:"exitCode"` // of run
	Signal   string         `json:"signal,omitempty"`
	Reason   string         `json:"reason,omitempty"`
	Manifest string         `json:"manifest"` // its path on the host
	Ended    time.Time      `json:"ended"`
}

func (t *trip) writeStatus(path string, code int) error {
	m := t.manifest
	data, err := json.MarshalIndent(statusReport{1, m.Job, t.host.Name, m.State, code, m.Signal, m.Reason, t.result.Location, m.Ended}, "", "  ")
	if err == nil {
		err = os.WriteFile(path, append(data, '\n'), 0o644)
	}
	if err != nil {
		return api.Errorf(api.Usage, "", "unable to write the status file: %w", err)
	}
	return nil
}
