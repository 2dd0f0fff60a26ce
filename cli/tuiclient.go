package cli

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strconv"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/human"
	"github.com/cyclops-fpga/cyclops/remote"
	"github.com/cyclops-fpga/cyclops/remote/fetch"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/retry"
	"github.com/cyclops-fpga/cyclops/tui"
)

// tuiClient is the hosts as the screen sees them.
type tuiClient struct {
	app    *App
	list   []tui.Host
	hosts  map[string]*openHost
	nudges map[string]chan struct{} // of each host: it answered somebody, whoever waits may ask again
}

func newTuiClient(app *App, list []hosts.Host, chosen string) *tuiClient {
	s := &tuiClient{app: app, hosts: map[string]*openHost{}, nudges: map[string]chan struct{}{}}
	for _, h := range list {
		shown := tui.Host{Name: h.Name, Default: h.Name == chosen}
		if shown.Address = h.Address; h.User != "" {
			shown.Address = h.User + "@" + h.Address
		}
		if h.IsLocal() {
			shown.Address = "this machine"
		}
		s.list = append(s.list, shown)
		s.hosts[h.Name] = app.dial(h)
		s.nudges[h.Name] = make(chan struct{}, 1)
	}
	return s
}

func (s *tuiClient) Close() {
	for _, h := range s.hosts {
		h.Close()
	}
}

func (s *tuiClient) Hosts() []tui.Host { return s.list }

func (s *tuiClient) host(name string) (*openHost, error) {
	if h := s.hosts[name]; h != nil {
		return h, nil
	}
	return nil, api.Errorf(api.NotFound, "", "there is no host %s on the screen", name)
}

func (s *tuiClient) Jobs(ctx context.Context, host string, ask tui.Ask) (api.JobPage, error) {
	h, err := s.host(host)
	if err != nil {
		return api.JobPage{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	q := ask.Query
	o := remote.ListOptions{Limit: ask.Limit, Since: q.Since, Until: q.Until, Text: q.IndexedText(host), After: ask.After}
	if len(q.States) > 0 {
		o.States = q.EndedStates()
	}
	if manifest.ValidIDPrefix(q.ID) {
		o.Prefix = q.ID
	}
	o.Name, o.Like, o.Owner, o.Project = q.Equal()
	if ask.Before > 0 {
		o.Cursor = strconv.FormatInt(ask.Before, 10)
	}
	return h.client.List(ctx, o)
}

// Record leaves out what a host does not tell: one document is worth showing without the other.
func (s *tuiClient) Record(ctx context.Context, ref tui.Ref) (tui.Record, error) {
	h, err := s.host(ref.Host)
	if err != nil {
		return tui.Record{}, err
	}
	info, err := h.client.Show(ctx, ref.ID)
	if err != nil {
		return tui.Record{}, err
	}
	var r tui.Record
	if data, err := h.client.Spec(ctx, ref.ID); err == nil {
		spec := new(manifest.Job)
		if json.Unmarshal(data, spec) == nil {
			r.Spec = spec
		}
	}
	if info.State.Ended() {
		r.Manifest, err = h.manifest(ctx, ref.ID)
	}
	return r, err
}

func (s *tuiClient) LogPage(ctx context.Context, ref tui.Ref, p tui.LogPart) (tui.LogPage, error) {
	h, err := s.host(ref.Host)
	if err != nil {
		return tui.LogPage{}, err
	}
	chunks, page, err := h.client.LogPage(ctx, ref.ID, remote.LogPart(p))
	return tui.LogPage{Chunks: chunks, LogPage: page}, err
}

func (s *tuiClient) LogFind(ctx context.Context, ref tui.Ref, search tui.LogSearch) (api.LogFound, error) {
	h, err := s.host(ref.Host)
	if err != nil {
		return api.LogFound{}, err
	}
	return h.client.LogFind(ctx, ref.ID, remote.LogSearch(search))
}

// Follow goes on at the byte where contact was lost, for as long as somebody looks.
func (s *tuiClient) Follow(ctx context.Context, ref tui.Ref, from int64) <-chan tui.Chunk {
	chunks := make(chan tui.Chunk, 16)
	go func() {
		defer close(chunks)
		if err := s.follow(ctx, ref, from, chunks); err != nil {
			send(ctx, chunks, tui.Chunk{Err: err, Over: true})
		}
	}()
	return chunks
}

func (s *tuiClient) follow(ctx context.Context, ref tui.Ref, from int64, chunks chan<- tui.Chunk) error {
	h, err := s.host(ref.Host)
	if err != nil {
		return err
	}
	patience := &retry.Patience{
		Lost: func(err error) { send(ctx, chunks, tui.Chunk{Err: err}) },
		Back: func() { s.nudge(ref.Host) },
	}
	patience.Alive() // the table shows whether there is a host at all
	attachment := h.client.Attach(nil, api.Follow{Job: ref.ID, Log: true, From: from}, patience)
	defer attachment.Close()
	_, err = attachment.Run(ctx, remote.Handler{Log: func(c api.LogChunk) error {
		c.Data = append([]byte(nil), c.Data...) // it lies in the session's buffer
		send(ctx, chunks, tui.Chunk{LogChunk: c})
		return nil
	}})
	return err
}

// saveBytes is how much of a log is asked for at once.
const saveBytes = 4 << 20

func (s *tuiClient) SaveLog(ctx context.Context, ref tui.Ref, stream, path string, told func(tui.Progress)) error {
	h, err := s.host(ref.Host)
	if err != nil {
		return err
	}
	return saveAs(path, func(w io.Writer) error {
		return copyLog(w, told, func(from int64) ([]api.LogChunk, api.LogPage, error) {
			return h.client.LogPage(ctx, ref.ID, remote.LogPart{From: from, Limit: saveBytes, Stream: stream})
		})
	})
}

// copyLog writes a log page by page.
func copyLog(w io.Writer, told func(tui.Progress), page func(from int64) ([]api.LogChunk, api.LogPage, error)) error {
	for from := int64(0); ; {
		chunks, part, err := page(from)
		if err != nil {
			return err
		}
		for _, c := range chunks {
			if _, err := w.Write(c.Data); err != nil {
				return err
			}
		}
		told(tui.Progress{Done: part.Next, Total: part.Size})
		if part.Next >= part.Size {
			return nil
		}
		if part.Next <= from {
			return api.Errorf(api.Internal, "", "the host ended the log at byte %d of %d", part.Next, part.Size)
		}
		from = part.Next
	}
}

// files opens the files of an ended job.
func (s *tuiClient) files(ctx context.Context, ref tui.Ref) (*fetch.SFTP, error) {
	h, err := s.host(ref.Host)
	if err != nil {
		return nil, err
	}
	info, err := h.client.Show(ctx, ref.ID)
	if err != nil {
		return nil, err
	}
	return s.app.hostFiles(h.conn, info.Location), nil
}

func (s *tuiClient) Peek(ctx context.Context, ref tui.Ref, a manifest.Artifact, most int64) ([]byte, error) {
	files, err := s.files(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer files.Close()
	return fetch.Peek(ctx, files, a, most)
}

func (s *tuiClient) Verify(ctx context.Context, ref tui.Ref, told func(name string, err error)) error {
	h, err := s.host(ref.Host)
	if err != nil {
		return err
	}
	m, err := h.manifest(ctx, ref.ID)
	if err != nil {
		return err
	}
	files, err := s.files(ctx, ref)
	if err != nil {
		return err
	}
	defer files.Close()
	for _, a := range m.Artifacts {
		err := fetch.Verify(ctx, files, a)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		told(a.Name, err)
	}
	return nil
}

func (s *tuiClient) Fetch(ctx context.Context, ref tui.Ref, names []string, told func(tui.Progress)) (string, error) {
	words := []string{"fetch", ref.String()}
	for _, name := range names {
		words = append(words, fetch.Literal(name))
	}
	var last fetch.Progress
	said, err := s.verb(ctx, words, func(p fetch.Progress) {
		last = p
		told(tui.Progress{Done: p.Bytes, Total: p.TotalBytes})
	})
	if err != nil && last.Files == 0 {
		return said, err
	}
	return said + count(int(last.Files), "file", "files") + " fetched, " + human.Size(last.Bytes), err
}

func (s *tuiClient) Verb(ctx context.Context, words ...string) (string, error) {
	return s.verb(ctx, words, nil)
}

// Terminal starts this program anew: a shell wants the terminal, and a process that can be left.
func (s *tuiClient) Terminal(words ...string) *exec.Cmd {
	argv := append(append(append([]string{}, s.app.self...), s.options()...), words...)
	return exec.Command(argv[0], argv[1:]...)
}

func (s *tuiClient) Shell(dir string) *exec.Cmd {
	cmd := exec.Command(firstOf(os.Getenv("SHELL"), "/bin/sh"))
	cmd.Dir = dir
	return cmd
}

func (s *tuiClient) options() []string {
	if s.app.sshConfig == "" {
		return nil
	}
	return []string{"--ssh-config", s.app.sshConfig}
}

func (s *tuiClient) Tree(ref tui.Ref) string {
	entry, err := s.app.journal().Lookup(ref.ID)
	if err != nil {
		return ""
	}
	if info, err := os.Stat(entry.Root); err != nil || !info.IsDir() {
		return ""
	}
	return entry.Root
}

func send[T any](ctx context.Context, to chan<- T, value T) bool {
	select {
	case to <- value:
		return true
	case <-ctx.Done():
		return false
	}
}

var _ tui.Client = (*tuiClient)(nil)

// captured has what a verb says go to files that somebody reads.
func (app *App) captured(out, err *os.File) *App {
	c := app.quiet()
	c.Streams = term.Streams{Out: out, Err: err}
	c.stdout, c.stderr = term.NewOutput(out), term.NewOutput(err)
	return c
}
