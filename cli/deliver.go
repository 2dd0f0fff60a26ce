package cli

import (
	"context"
	"errors"
	"io"
	"path"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/human"
	"github.com/cyclops-fpga/cyclops/remote/carry"
	"github.com/cyclops-fpga/cyclops/remote/connect"
	"github.com/cyclops-fpga/cyclops/remote/fetch"
)

// fetchChannels is how many SFTP channels carry artifacts: one alone is slow on a long line.
const fetchChannels = 3

// maxFailures is how many outputs that did not arrive are named: a full disk refuses thousands alike.
const maxFailures = 20

// takeResult prepares for the artifacts that are pushed behind the result.
func (t *trip) takeResult(r api.Result) (err error) {
	t.live.end()
	t.result = &r
	if t.manifest, err = decodeResult(&r); err != nil || t.root == nil {
		return err
	}
	request := t.request()
	request.Manifest, request.ClockOffset = t.manifest, time.Until(r.Clock)
	t.placer, err = fetch.New(request)
	return err
}

// request asks for files of the job to be put into the tree that it came from.
func (t *trip) request() fetch.Request {
	r := fetch.Request{Root: t.root.Dir, Dirs: t.app.dirs, Pinned: t.pinned}
	if t.tree != nil {
		r.Pinned = fetch.PinnedByTree(t.tree)
	}
	return r
}

func (t *trip) takeArtifact(name string, _ int64, r io.Reader) error {
	return t.placer.Put(t.ctx, name, r)
}

// fetch brings back what was not pushed and says what did not go as a local run would have.
func (t *trip) fetch(ctx context.Context) error {
	source := t.app.hostFiles(t.host.conn, path.Dir(t.result.Location))
	defer source.Close()
	began := time.Now()
	t.status.Say(func() string { return fetchText(t.placer.Progress(), time.Since(began)) })
	err := t.placer.Rest(ctx, source)
	report, closeErr := t.placer.Close()
	t.status.Say(nil)
	t.fetched = report
	t.app.sayReport(report)
	t.sayOutputs()
	t.sayChanged()
	t.sayLeft(report)
	return errors.Join(err, closeErr, report.Err())
}

func fetchText(p fetch.Progress, elapsed time.Duration) string {
	if p.TotalFiles == 0 {
		return ""
	}
	return rateText("fetching "+count(int(p.TotalFiles), "file", "files"), p.Bytes, p.TotalBytes, elapsed)
}

// sayReport warns of everything in a fetch that a person must know.
func (app *App) sayReport(r *fetch.Report) {
	for _, c := range r.Conflicts {
		app.warn("%s was changed here meanwhile; the job's is in %s", c.Name, c.Beside)
	}
	for _, refused := range r.Refused {
		app.warn("output %s refused: %s", refused.Path, refused.Reason)
	}
	for i, f := range r.Failed {
		if i == maxFailures {
			app.warn("%s did not arrive either", count(len(r.Failed)-i, "further output", "further outputs"))
			break
		}
		app.warn("output %s did not arrive: %v", f.Name, f.Err)
	}
}

// sayOutputs says what of the outputs that were asked for the job did not make. A command that
// happens to run in a project is not asked for the project's outputs.
func (t *trip) sayOutputs() {
	for _, refused := range t.manifest.Refused {
		t.app.warn("output %s refused: %s", refused.Path, refused.Reason)
	}
	if !t.named && len(t.flags.outputs) == 0 {
		return
	}
	for _, pattern := range t.manifest.Missing {
		t.app.warn("output %s matched nothing", pattern)
	}
	for _, s := range t.manifest.Stale {
		t.app.warn("output %s is stale: this job did not write %s", s.Pattern, s.Paths[0])
	}
}

// sayLeft tells how to get what was too much to come by itself.
func (t *trip) sayLeft(r *fetch.Report) {
	if len(r.Left) == 0 || len(t.job.Outputs.Fetch)+len(t.job.Outputs.Keep) > 0 {
		return
	}
	var bytes int64
	for _, a := range r.Left {
		bytes += a.Size
	}
	t.app.warn("%s (%s) stayed on the host, %s first: cyclops fetch --all %s", count(len(r.Left), "output", "outputs"), human.Size(bytes), r.Left[0].Name, t.job.ID)
}

// hostFiles opens the files of the job whose manifest lies in dir. It opens no channel before the
// first file is asked for: most fetches need none.
func (app *App) hostFiles(conn *connect.Conn, dir string) *fetch.SFTP {
	return fetch.NewSFTP(dir, carry.New(conn, fetchChannels, app.patience(conn.Host().Name)))
}
