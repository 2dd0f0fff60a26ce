package cli

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote"
	"github.com/cyclops-fpga/cyclops/remote/retry"
	"github.com/cyclops-fpga/cyclops/tui"
	"github.com/spf13/cobra"
)

func newTuiCommand(app *App) *cobra.Command {
	var host string
	cmd := &cobra.Command{
		Use:   "tui",
		Short: "Watch and steer a host's jobs on a screen",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return app.tui(cmd.Context(), host) },
	}
	cmd.Flags().StringVarP(&host, "host", "H", "", "host to watch (also $CYCLOPS_HOST)")
	return cmd
}

func (app *App) tui(ctx context.Context, flag string) error {
	if !term.IsTerminal(app.In) || !term.IsTerminal(app.Out) {
		return api.Errorf(api.Usage, "cyclops ps lists jobs without one", "tui needs a terminal")
	}
	host, err := app.open(ctx, flag)
	if err != nil {
		return err
	}
	host.Close()
	host = app.quiet().dial(host.Host)
	defer host.Close()
	_, noColour := os.LookupEnv("NO_COLOR")
	return tui.Run(ctx, &screenClient{app, host}, !noColour && term.UseColour(app.Out), app.In, app.Out)
}

// quiet is an App that neither asks nor logs: both would write over the screen.
func (app *App) quiet() *App {
	q := *app
	q.In, q.verbose = nil, false
	return &q
}

// screenClient is a host as the screen sees it.
type screenClient struct {
	app  *App
	host *openHost
}

// The time between two looks at a host that answers, and the most between two at one that does not.
const (
	lookEvery = time.Second
	retryMost = 30 * time.Second
	// lookLimit is how long the host may take to list its jobs: a line that died silently would
	// otherwise show the last table for ever.
	lookLimit = 20 * time.Second
	// screenTail is how many lines of a log the screen begins with; it keeps no more.
	screenTail = 10_000
)

func (s *screenClient) Host() string { return s.host.Name }

// Watch lists the jobs time and again; the API does not push lists.
func (s *screenClient) Watch(ctx context.Context) <-chan tui.Jobs {
	looks := make(chan tui.Jobs)
	go func() {
		defer close(looks)
		wait := lookEvery
		for {
			look := s.look(ctx)
			if look.Err == nil {
				wait = lookEvery
			} else {
				wait = min(2*wait, retryMost)
				look.Retry = wait
			}
			if !send(ctx, looks, look) || !pause(ctx, wait) {
				return
			}
		}
	}()
	return looks
}

func (s *screenClient) look(ctx context.Context) tui.Jobs {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	page, err := s.host.list(ctx, psOptions{}, nil)
	return tui.Jobs{Jobs: page.Jobs, Err: err}
}

func send[T any](ctx context.Context, to chan<- T, value T) bool {
	select {
	case to <- value:
		return true
	case <-ctx.Done():
		return false
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// Follow goes on at the byte where contact was lost, for as long as somebody looks.
func (s *screenClient) Follow(ctx context.Context, id string) <-chan tui.Chunk {
	chunks := make(chan tui.Chunk, 16)
	go func() {
		defer close(chunks)
		if err := s.follow(ctx, id, chunks); err != nil {
			send(ctx, chunks, tui.Chunk{Err: err})
		}
	}()
	return chunks
}

func (s *screenClient) follow(ctx context.Context, id string, chunks chan<- tui.Chunk) error {
	patience := &retry.Patience{Lost: func(err error) { send(ctx, chunks, tui.Chunk{Err: err}) }}
	patience.Alive() // the table shows whether there is a host at all
	attachment := s.host.client.Attach(nil, api.Follow{Job: id, Log: true, Tail: screenTail}, patience)
	defer attachment.Close()
	var text strings.Builder
	safe := term.NewSafeWriter(&text)
	_, err := attachment.Run(ctx, remote.Handler{Log: func(c api.LogChunk) error {
		text.Reset()
		if _, err := safe.Write(c.Data); err != nil {
			return err
		}
		send(ctx, chunks, tui.Chunk{Text: text.String()})
		return nil
	}})
	return err
}

func (s *screenClient) Manifest(ctx context.Context, id string) (*manifest.Manifest, error) {
	return s.host.manifest(ctx, id)
}

func (s *screenClient) Cancel(ctx context.Context, id string) error {
	_, err := s.host.client.Cancel(ctx, id, api.CancelRequest{})
	return err
}

func (s *screenClient) Retry(ctx context.Context, id string) (string, error) {
	info, err := s.host.client.Retry(ctx, id, api.RetryRequest{ID: manifest.NewID(), Created: time.Now().UTC()})
	if err != nil {
		return "", err
	}
	return info.ID, s.app.recordRetry(ctx, s.host, id, info)
}

func (s *screenClient) Remove(ctx context.Context, id string) error {
	reply, err := s.host.client.Remove(ctx, []string{id})
	if err == nil && len(reply.Failed) > 0 {
		err = reply.Failed[0].Error
	}
	return err
}
