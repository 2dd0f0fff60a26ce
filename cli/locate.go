package cli

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote/fetch"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
)

// manifestName is the file that a directory of a job is named for.
const manifestName = "manifest.json"

// located is a manifest and the way to the files that it lists.
type located struct {
	data   []byte
	source fetch.Source
	id     string        // of the job, where it was found by its job
	ahead  time.Duration // of the host's clock, where its executor told
	close  []func()
}

// Close gives up what leads to the files.
func (l *located) Close() {
	for _, fn := range l.close {
		fn()
	}
}

// locate finds the manifest that word names: an sftp:// URL, a file here, or a job's.
func (app *App) locate(ctx context.Context, hostFlag, word string) (*located, error) {
	if strings.HasPrefix(word, "sftp://") {
		return app.locateURL(ctx, word)
	}
	if info, err := os.Stat(word); err == nil && strings.ContainsAny(word, `./\`) {
		if info.IsDir() {
			word = filepath.Join(word, manifestName)
		}
		return locateFile(word)
	}
	return app.locateJob(ctx, hostFlag, word)
}

// locateURL needs nothing but sshd at the other end.
func (app *App) locateURL(ctx context.Context, word string) (*located, error) {
	u, err := url.Parse(word)
	if err != nil || u.Host == "" || u.Path == "" {
		return nil, api.Errorf(api.Usage, "sftp://HOST/PATH/manifest.json", "%q is no location of a manifest", word)
	}
	config, err := hosts.Load(app.dirs)
	if err != nil {
		return nil, err
	}
	name := u.Host
	if u.User != nil {
		name = u.User.Username() + "@" + name
	}
	host, err := config.Find(name)
	if err != nil {
		return nil, err
	}
	return app.locateOn(ctx, host, u.Path)
}

// locateOn reads the manifest at an absolute path of host over SFTP.
func (app *App) locateOn(ctx context.Context, host hosts.Host, file string) (*located, error) {
	h := app.dial(host)
	if path.Base(file) != manifestName && path.Ext(file) != ".json" {
		file = path.Join(file, manifestName)
	}
	file = strings.TrimPrefix(file, "/~/") // below the home, where SFTP starts
	files := app.hostFiles(h.conn, path.Dir(file))
	l := &located{source: files, close: []func(){files.Close, h.Close}}
	f, err := files.Open(ctx, path.Base(file))
	if err == nil {
		l.data, err = io.ReadAll(io.NewSectionReader(f, 0, manifest.MaxDocumentSize))
		f.Close()
	}
	if err != nil {
		l.Close()
		return nil, unreadable(file, err)
	}
	return l, nil
}

func unreadable(file string, err error) error {
	var e *api.Error
	switch {
	case errors.As(err, &e):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return api.Errorf(api.NotFound, "a manifest is written when its job has ended", "no manifest at %s", file)
	}
	return api.Errorf(api.Unreachable, "", "unable to read the manifest at %s: %w", file, err)
}

func locateFile(file string) (*located, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, unreadable(file, err)
	}
	return &located{data: data, source: fetch.Local(filepath.Dir(file))}, nil
}

func (app *App) locateJob(ctx context.Context, hostFlag, ref string) (*located, error) {
	h, id, err := app.find(ctx, hostFlag, ref)
	if err != nil {
		return nil, err
	}
	info, err := h.client.Show(ctx, id)
	if err == nil && !info.State.Ended() {
		err = api.Errorf(api.Conflict, "cyclops wait "+id+" waits for its end", "job %s is %s: its manifest is written when it has ended", id, info.State)
	}
	files := app.hostFiles(h.conn, info.Location)
	l := &located{source: files, id: id, close: []func(){files.Close, h.Close}}
	if err == nil {
		l.data, err = h.client.Manifest(ctx, id)
	}
	if err == nil && !h.conn.Local() {
		l.ahead = h.clockAhead(ctx)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// clockAhead is how much later the host's clock is than ours, 0 if it does not tell: times are then only kept from the
// future.
func (h *openHost) clockAhead(ctx context.Context) time.Duration {
	asked := time.Now()
	hello, err := h.client.Hello(ctx)
	if err != nil || hello.Clock.IsZero() {
		return 0
	}
	return hello.Clock.Sub(asked.Add(time.Since(asked) / 2))
}

// decode reads the manifest that was located.
func (l *located) decode() (*manifest.Manifest, error) {
	return decodeManifest(l.data)
}

// decodeManifest tells a manifest of a later version from one that is damaged.
func decodeManifest(data []byte) (*manifest.Manifest, error) {
	m, err := manifest.DecodeManifest(data)
	var version *manifest.VersionError
	switch {
	case errors.As(err, &version):
		return nil, api.Errorf(api.Incompatible, "a newer Cyclops on this machine reads it", "%w", err)
	case err != nil:
		return nil, api.Errorf(api.Corrupt, "", "%w", err)
	}
	return m, nil
}
