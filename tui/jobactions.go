package tui

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// refs are the words of a verb for jobs.
func refs(rows []*row) []string {
	words := make([]string, len(rows))
	for i, r := range rows {
		words[i] = r.ref().String()
	}
	return words
}

// these names jobs in a question.
func these(rows []*row) string {
	if len(rows) == 1 {
		return called(rows[0])
	}
	return fmt.Sprintf("%d jobs", len(rows))
}

// only keeps the jobs that an action can be about, and says why when there are none.
func (m *Model) only(fits func(*row) bool, why string) []*row {
	rows := slices.DeleteFunc(m.chosen(), func(r *row) bool { return !fits(r) })
	if len(rows) == 0 {
		m.say(notice{text: why, bad: true})
	}
	return rows
}

func (m *Model) cancelJobs() tea.Cmd {
	rows := m.only(func(r *row) bool { return !r.State.Ended() }, "it has ended; there is nothing to cancel")
	if len(rows) == 0 {
		return nil
	}
	words := append([]string{"cancel"}, refs(rows)...)
	m.ask("Cancel "+these(rows)+"?", words, func(m *Model) tea.Cmd { return m.verbOn(rows, words, nil) })
	return nil
}

func (m *Model) removeJobs() tea.Cmd {
	rows := m.only(func(r *row) bool { return r.State.Ended() }, "only a job that has ended can be deleted; c cancels it")
	if len(rows) == 0 {
		return nil
	}
	words := append([]string{"rm"}, refs(rows)...)
	gone := make([]Ref, len(rows))
	for i, r := range rows {
		gone[i] = r.ref()
	}
	m.ask("Delete "+these(rows)+", with log and artifacts?", words, func(m *Model) tea.Cmd {
		return m.verbOn(rows, words, func(m *Model, err error) tea.Cmd {
			if err != nil {
				return nil // what is gone nevertheless, its host tells
			}
			return m.removed(gone)
		})
	})
	return nil
}

// removed forgets jobs, and leaves the places that are about them.
func (m *Model) removed(gone []Ref) tea.Cmd {
	for _, ref := range gone {
		m.jobs.forget(ref)
	}
	for len(m.stack) > 1 {
		ref, ok := about(m.top())
		if !ok || !slices.Contains(gone, ref) {
			break
		}
		m.back()
	}
	m.jobs.refresh()
	return m.jobs.reach(m)
}

// verbOn returns the command that does a verb to jobs, whose marks have served: other marks, and
// those that are set meanwhile, are for what comes next.
func (m *Model) verbOn(rows []*row, words []string, then func(m *Model, err error) tea.Cmd) tea.Cmd {
	m.unmark(rows)
	return m.verb(words, then)
}

func (m *Model) unmark(rows []*row) {
	for _, r := range rows {
		delete(m.jobs.marked, r.ref())
	}
}

func (m *Model) retryJobs() tea.Cmd {
	rows := m.chosen()
	if len(rows) == 0 {
		return nil
	}
	words := append([]string{"retry"}, refs(rows)...)
	if len(rows) > 1 {
		m.ask("Run "+these(rows)+" again?", words, func(m *Model) tea.Cmd { return m.verbOn(rows, words, nil) })
		return nil
	}
	return m.verbOn(rows, words, nil)
}

func (m *Model) reprioritise() tea.Cmd {
	rows := m.only(func(r *row) bool { return r.State == manifest.Queued }, "only a job that waits has a place in the queue")
	if len(rows) == 0 {
		return nil
	}
	names := []string{string(manifest.Interactive), string(manifest.Normal), string(manifest.Low)}
	return m.open(&input{
		label: "priority", help: strings.Join(names, ", ") + "; tab completes",
		suggest: func(string) []string { return names },
		accept: func(m *Model, text string) tea.Cmd {
			return m.verbOn(rows, append(append([]string{"reprioritise"}, refs(rows)...), "--priority", strings.TrimSpace(text)), nil)
		},
	}, "")
}

// pinJobs keeps jobs from being removed, or, if all are kept already, no longer.
func (m *Model) pinJobs() tea.Cmd {
	rows := m.chosen()
	if len(rows) == 0 {
		return nil
	}
	verb, pinned := "unpin", false
	if slices.ContainsFunc(rows, func(r *row) bool { return !r.Pinned }) {
		verb, pinned = "pin", true
	}
	return m.verbOn(rows, append([]string{verb}, refs(rows)...), func(m *Model, err error) tea.Cmd {
		for _, r := range rows {
			if now := m.jobs.find(r.ref()); now != nil && err == nil {
				now.Pinned = pinned
			}
		}
		return nil
	})
}

func (m *Model) fetchOutputs() tea.Cmd {
	rows := m.only(func(r *row) bool { return r.State.Ended() }, "outputs are fetched once the job has ended")
	m.unmark(rows)
	return m.fetchEach(rows)
}

// fetchEach fetches from one job after the other: at once they would share one line, and as many
// files would be open as all of them have.
func (m *Model) fetchEach(rows []*row) tea.Cmd {
	if len(rows) == 0 {
		return nil
	}
	return m.fetch(rows[0].ref(), nil, func(m *Model, err error) tea.Cmd {
		if errors.Is(err, context.Canceled) { // it was stopped: so is what would have come next
			return nil
		}
		return m.fetchEach(rows[1:])
	})
}

// fetch brings artifacts here and shows how far it is.
func (m *Model) fetch(ref Ref, names []string, then func(m *Model, err error) tea.Cmd) tea.Cmd {
	words := append([]string{"fetch", ref.String()}, names...)
	client := m.client
	return m.withProgress(spoken(words), func(ctx context.Context, told func(Progress)) (string, error) {
		return client.Fetch(ctx, ref, names, told)
	}, then)
}

func (m *Model) openShell() tea.Cmd {
	r := m.current()
	if r == nil {
		return nil
	}
	words := []string{"shell", r.ref().String()}
	return tea.ExecProcess(m.client.Terminal(words...), func(err error) tea.Msg {
		return doneMsg{verb: spoken(words), err: ofShell(err, notDone, unknown)}
	})
}

// openTree opens a shell in the tree that a job was sent from.
func (m *Model) openTree() tea.Cmd {
	r := m.current()
	if r == nil {
		return nil
	}
	client, of := m.client, r.ref()
	return func() tea.Msg { return treeMsg(client.Tree(of)) }
}

// treeMsg is where the tree of a job is on this machine, or empty.
type treeMsg string

func (m *Model) enterTree(dir string) tea.Cmd {
	if dir == "" {
		m.say(notice{text: "the tree that it came from is not on this machine", bad: true})
		return nil
	}
	return tea.ExecProcess(localShell(dir), func(err error) tea.Msg { return doneMsg{verb: "cd " + dir, err: ofShell(err)} })
}

// localShell is the user's own shell in a directory.
func localShell(dir string) *exec.Cmd {
	shell := os.Getenv("SHELL")
	if shell == "" {
		shell = "/bin/sh"
	}
	cmd := exec.Command(shell)
	cmd.Dir = dir
	return cmd
}

// What cyclops shell exits with where there was no shell, or its outcome is not known.
const (
	notDone = 125
	unknown = 255
)

// ofShell is what is wrong with a shell that was left: it exits as its last command did, and only
// some codes say that it was not its own.
func ofShell(err error, own ...int) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && !slices.Contains(own, exit.ExitCode()) {
		return nil
	}
	return err
}

func (m *Model) copyID() tea.Cmd {
	rows := m.chosen()
	if len(rows) == 0 {
		return nil
	}
	return m.copy(strings.Join(refs(rows), " "))
}

// copy gives text to the terminal's clipboard, and says so.
func (m *Model) copy(text string) tea.Cmd {
	m.say(notice{text: "copied " + text})
	return tea.SetClipboard(text)
}

func (m *Model) watchJobs() tea.Cmd {
	rows := m.only(func(r *row) bool { return !r.State.Ended() }, "it has ended already")
	for _, r := range rows {
		if m.jobs.watched[r.ref()] {
			delete(m.jobs.watched, r.ref())
		} else {
			m.jobs.watched[r.ref()] = true
			m.jobs.keep(r)
		}
	}
	if n := len(m.jobs.watched); len(rows) > 0 {
		m.say(notice{text: fmt.Sprintf("%d watched; the terminal tells when one ends", n)})
	}
	return nil
}
