// Package tui shows every job, log, artifact and host on one screen.
package tui

import (
	"context"
	"errors"
	"os"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/cyclops-fpga/cyclops/tui/early"
)

func init() { early.Restore() }

// framesPerSecond is twice the usual: a key that just missed a frame is seen 8 ms later, not 17.
const framesPerSecond = 120

// Run shows the screen until the user leaves it.
func Run(ctx context.Context, client Client, colour bool, in, out *os.File) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	options := []tea.ProgramOption{tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithFPS(framesPerSecond)}
	if !colour {
		options = append(options, tea.WithColorProfile(colorprofile.ASCII))
	}
	_, err := tea.NewProgram(New(ctx, client), options...).Run()
	if errors.Is(err, tea.ErrInterrupted) || ctx.Err() != nil {
		return context.Canceled
	}
	return err
}
