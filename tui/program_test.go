package tui

import (
	"bytes"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/exp/teatest/v2"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// The program as it runs: commands side by side, events pushed, and no goroutine left behind.
func TestProgram(t *testing.T) {
	f := sample()
	p := teatest.NewTestModel(t, New(t.Context(), f), teatest.WithInitialTermSize(100, 24), teatest.WithProgramOptions(tea.WithColorProfile(colorprofile.ASCII)))
	see := func(text string) {
		t.Helper()
		teatest.WaitFor(t, p.Output(), func(out []byte) bool { return bytes.Contains(out, []byte(text)) }, teatest.WithDuration(20*time.Second))
	}
	see("waits for a slot")
	f.events <- Event{News: api.News{Jobs: []api.JobInfo{{ID: "nnnnnnnnnnnnnnnn", Seq: 20, State: manifest.Running, Name: "pushed", Accepted: time.Now()}}}}
	see("pushed")
	p.Send(keyOf("t"))
	see("indented")
	p.Send(keyOf("g"))
	p.Send(keyOf("e"))
	see("did not meet timing")
	p.Send(keyOf("q"))
	p.Send(keyOf("c"))
	see("[y/N]")
	p.Send(keyOf("y"))
	see("said cancel")
	p.Send(keyOf("q"))
	p.WaitFinished(t, teatest.WithFinalTimeout(20*time.Second))
}
