// Package tui shows a host's jobs, their records and their logs on a screen.
package tui

import (
	"context"
	"errors"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// Client is all that the screen asks of a host. Its channels end with their context.
type Client interface {
	Host() string
	// Watch sends the host's jobs, newest first, whenever they were looked at, and failures to.
	Watch(ctx context.Context) <-chan Jobs
	// Follow sends a job's log, made safe to show, and is closed at the log's end.
	Follow(ctx context.Context, id string) <-chan Chunk
	Manifest(ctx context.Context, id string) (*manifest.Manifest, error)
	Cancel(ctx context.Context, id string) error
	Retry(ctx context.Context, id string) (newID string, err error)
	Remove(ctx context.Context, id string) error
}

// Jobs is what a look at the host brought.
type Jobs struct {
	Jobs  []api.JobInfo
	Err   error // the jobs are not known; the next look comes after Retry
	Retry time.Duration
}

// Chunk is a piece of a log: text in which no control characters but newlines, tabs, carriage
// returns and colours are left.
type Chunk struct {
	Text string
	Err  error // contact was lost, and is sought again
}

// Run shows the screen until the user leaves it.
func Run(ctx context.Context, client Client, colour bool, in, out *os.File) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	model := New(ctx, client, colour)
	_, err := tea.NewProgram(model, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out)).Run()
	if errors.Is(err, tea.ErrInterrupted) || ctx.Err() != nil {
		return context.Canceled
	}
	return err
}
