package tui

import (
	"context"
	"fmt"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// key does what a key means in this place.
func (m *Model) key(key string) tea.Cmd {
	switch {
	case key == "ctrl+c":
		return tea.Quit
	case m.question != nil:
		return m.answer(key)
	case m.typing:
		m.typeFilter(key)
		return nil
	case m.help:
		m.help = false
		return nil
	case key == "?":
		m.help = true
		return nil
	}
	if key == "esc" && m.notice != "" {
		m.notice = ""
		return nil
	}
	switch m.view {
	case jobView:
		return m.jobKey(key)
	case logView:
		return m.logKey(key)
	}
	return m.jobsKey(key)
}

func (m *Model) answer(key string) tea.Cmd {
	do := m.question.do
	m.question = nil
	if key == "y" || key == "Y" {
		return do
	}
	return nil
}

func (m *Model) typeFilter(key string) {
	switch runes := []rune(m.filter); {
	case key == "enter":
		m.typing = false
	case key == "esc":
		m.typing, m.filter = false, ""
	case key == "backspace" && len(runes) > 0:
		m.filter = string(runes[:len(runes)-1])
	case key == "ctrl+u":
		m.filter = ""
	case key == "space":
		m.filter += " "
	case len([]rune(key)) == 1:
		m.filter += key
	}
	m.choose()
}

// action begins what c, r and x ask for; what destroys is confirmed first.
func (m *Model) action(key string) tea.Cmd {
	j, ok := m.job()
	if !ok {
		return nil
	}
	id, ref := j.ID, m.client.Host()+"/"+j.ID
	switch {
	case key == "r":
		return m.act("cyclops retry "+ref, func(ctx context.Context) (string, error) {
			newID, err := m.client.Retry(ctx, id)
			return "is job " + newID, err
		})
	case key == "c" && !j.State.Ended():
		m.question = &question{fmt.Sprintf("Cancel %s? [y/N]", called(j.Name, id)), m.act("cyclops cancel "+ref, func(ctx context.Context) (string, error) {
			return "done", m.client.Cancel(ctx, id)
		})}
	case key == "c":
		m.say("the job has ended; there is nothing to cancel", nil)
	case key == "x" && j.State.Ended():
		m.question = &question{fmt.Sprintf("Delete %s, its log and artifacts? [y/N]", called(j.Name, id)), m.act("cyclops rm "+ref, func(ctx context.Context) (string, error) {
			return "done", m.client.Remove(ctx, id)
		})}
	case key == "x":
		m.say("only a job that has ended can be deleted; c cancels it", nil)
	}
	return nil
}

func called(name, id string) string {
	if name == "" {
		return id
	}
	return clean(name) + " (" + id + ")"
}

// act returns the command that does what verb does.
func (m *Model) act(verb string, do func(context.Context) (string, error)) tea.Cmd {
	ctx := m.ctx
	return func() tea.Msg {
		outcome, err := do(ctx)
		if err != nil {
			return doneMsg{verb, err}
		}
		return doneMsg{verb + ": " + outcome, nil}
	}
}

// stateWord is the state and what else fits into a word or two.
func stateWord(s manifest.State, detail string) string {
	if detail == "" {
		return string(s)
	}
	return string(s) + " " + detail
}
