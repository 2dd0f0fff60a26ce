package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

// underway is work that is being done, and what is said of it.
type underway struct {
	verb    string // of the command line, that does the same
	says    string
	stop    context.CancelFunc
	stopped bool // the user no longer wants it
}

// doneMsg says what came of work.
type doneMsg struct {
	of   *underway // nil: a shell, which had the terminal
	verb string
	said string
	err  error
	then func(m *Model, err error) tea.Cmd // whatever came of it; may be nil
}

// verb returns the command that does a verb of the command line, and shows it meanwhile.
func (m *Model) verb(words []string, then func(m *Model, err error) tea.Cmd) tea.Cmd {
	return m.long(m.ctx, spoken(words), func(ctx context.Context) (string, error) { return m.client.Verb(ctx, words...) }, then)
}

// long returns the command that does work which shown describes.
func (m *Model) long(ctx context.Context, shown string, work func(ctx context.Context) (string, error), then func(m *Model, err error) tea.Cmd) tea.Cmd {
	do, _ := m.begin(ctx, shown, work, then)
	return do
}

func (m *Model) begin(ctx context.Context, shown string, work func(ctx context.Context) (string, error), then func(m *Model, err error) tea.Cmd) (tea.Cmd, *underway) {
	ctx, stop := context.WithCancel(ctx)
	w := &underway{verb: shown, says: shown, stop: stop}
	m.working = append(m.working, w)
	return func() tea.Msg {
		defer stop()
		said, err := work(ctx)
		return doneMsg{w, shown, said, err, then}
	}, w
}

// withProgress returns the command that does work, and tells on the screen how far it is.
func (m *Model) withProgress(shown string, work func(ctx context.Context, told func(Progress)) (string, error), then func(m *Model, err error) tea.Cmd) tea.Cmd {
	steps := make(chan Progress, 1)
	told := func(p Progress) {
		select {
		case steps <- p:
		default: // the screen is behind; the next one will do
		}
	}
	do, w := m.begin(m.ctx, shown, func(ctx context.Context) (string, error) {
		defer close(steps)
		return work(ctx, told)
	}, then)
	return tea.Batch(do, await(w, steps))
}

// progressMsg says how far work is.
type progressMsg struct {
	of    *underway
	at    Progress
	steps <-chan Progress
}

func await(w *underway, steps <-chan Progress) tea.Cmd {
	return func() tea.Msg {
		if p, ok := <-steps; ok {
			return progressMsg{w, p, steps}
		}
		return nil
	}
}

func (m *Model) progressed(msg progressMsg) tea.Cmd {
	if at := msg.at; at.Total > 0 && !msg.of.stopped {
		msg.of.says = fmt.Sprintf("%s of %s, %d %%  %s", human.Size(at.Done), human.Size(at.Total), 100*at.Done/at.Total, msg.of.verb)
	}
	return await(msg.of, msg.steps)
}

func (m *Model) done(msg doneMsg) tea.Cmd {
	m.working = slices.DeleteFunc(m.working, func(w *underway) bool { return w == msg.of })
	said := strings.TrimSpace(msg.said)
	switch {
	case msg.err != nil && msg.of != nil && msg.of.stopped:
		msg.err = context.Canceled
		m.say(notice{verb: msg.verb, text: strings.TrimSpace("stopped\n" + said)})
	case msg.err != nil:
		m.failed(msg.verb, msg.err, said)
	case said == "":
		m.say(notice{verb: msg.verb, text: "done"})
	default:
		m.say(notice{verb: msg.verb, text: said})
	}
	switch {
	case m.leaving && len(m.working) == 0:
		return tea.Quit
	case msg.then != nil && !m.leaving:
		return msg.then(m, msg.err)
	}
	return nil
}

// stopNewest ends the work that the bottom of the screen tells of.
func (m *Model) stopNewest() tea.Cmd {
	for _, w := range slices.Backward(m.working) {
		if !w.stopped {
			w.end()
			return nil
		}
	}
	m.say(notice{text: "nothing is under way", bad: true})
	return nil
}

func (w *underway) end() {
	w.stopped, w.says = true, "stopping  "+w.verb
	w.stop()
}

// quit leaves the program; what is under way would end with it, so that is asked about first, and
// given the time to clean up.
func (m *Model) quit() tea.Cmd {
	if len(m.working) == 0 || m.leaving {
		return tea.Quit
	}
	newest := m.working[len(m.working)-1].verb
	if n := len(m.working) - 1; n > 0 {
		newest += fmt.Sprintf(" (and %d more)", n)
	}
	m.question = &question{text: "Leave, and stop what is under way?", verb: newest, leave: true, do: func(m *Model) tea.Cmd {
		m.leaving = true
		for _, w := range m.working {
			w.end()
		}
		if len(m.working) == 0 {
			return tea.Quit
		}
		return nil
	}}
	return nil
}

// interrupt is Ctrl-C: a second one does not ask.
func (m *Model) interrupt() tea.Cmd {
	if m.question != nil && m.question.leave {
		return tea.Quit
	}
	return m.quit()
}

// workLine tells of the newest work.
func (m *Model) workLine() string {
	const how = "  X stops it"
	w, t := m.working[len(m.working)-1], &m.theme
	text := " … " + w.says
	if n := len(m.working) - 1; n > 0 {
		text = fmt.Sprintf(" … (and %d more) %s", n, w.says)
	}
	return t.busy.paint(fit(text, min(width(text), m.width-len(how)))) + t.dim.paint(how)
}
