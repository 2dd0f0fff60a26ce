package tui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/executor/api"
)

// notice is what came of something. It stays until it is dismissed; what went well, until the next.
type notice struct {
	verb string // of the command line, that did it
	text string
	hint string
	bad  bool
	at   time.Time
}

// question stands until it is answered; only y does what it asks.
type question struct {
	text  string
	verb  string
	do    func(m *Model) tea.Cmd
	leave bool // it is whether to leave the program
}

const (
	keptNotices = 200
	keptText    = 64 << 10 // of what one says
)

// say shows a notice. One that is there already does not come twice: what fails again and again would
// push out what failed once.
func (m *Model) say(n notice) {
	n.at = m.now
	if len(n.text) > keptText {
		n.text = strings.ToValidUTF8(n.text[:keptText], "") + " …"
	}
	m.notices = slices.DeleteFunc(m.notices, func(old notice) bool { return !old.bad || old.same(n) })
	m.notices = append(m.notices, n)
	if len(m.notices) > keptNotices {
		m.notices = m.notices[1:]
		m.unsaid++
	}
}

func (n *notice) same(as notice) bool {
	return n.verb == as.verb && n.text == as.text && n.hint == as.hint && n.bad == as.bad
}

// others says how many further notices there are.
func (m *Model) others() string {
	n := len(m.notices) - 1
	switch {
	case m.unsaid > 0:
		return fmt.Sprintf(" (%d more; %d older ones are gone)", n, m.unsaid)
	case n > 0:
		return fmt.Sprintf(" (%d more)", n)
	}
	return ""
}

// readFor is how long what went well is shown at least, once keys are typed again.
const readFor = 2 * time.Second

// tidy takes away what went well and was there long enough to be read.
func (m *Model) tidy() {
	m.notices = slices.DeleteFunc(m.notices, func(n notice) bool { return !n.bad && m.now.Sub(n.at) >= readFor })
}

func (m *Model) complain(what string, err error) { m.failed(what, err, "") }

// failed says what failed, and behind it what was done of it nevertheless.
func (m *Model) failed(what string, err error, done string) {
	if errors.Is(err, context.Canceled) {
		return
	}
	m.say(notice{verb: what, text: strings.TrimSpace(err.Error() + "\n" + done), hint: hintOf(err), bad: true})
}

func hintOf(err error) string {
	var e *api.Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}

// dismiss takes the newest notice away; false: there is none.
func (m *Model) dismiss() bool {
	if len(m.notices) == 0 {
		return false
	}
	if m.notices = m.notices[:len(m.notices)-1]; len(m.notices) == 0 {
		m.unsaid = 0
	}
	return true
}

// showMessages opens what was said and not dismissed, newest first, to be read at leisure.
func (m *Model) showMessages() tea.Cmd {
	if len(m.notices) == 0 {
		return nil
	}
	view := newText(m.ctx, Ref{}, "messages", counted(len(m.notices), "message"))
	view.wrapped, view.source = true, []styled{}
	for _, n := range slices.Backward(m.notices) {
		view.source = append(view.source, n.lines()...)
	}
	m.notices, m.unsaid = nil, 0
	m.push(view)
	view.rewrap(m.width)
	return nil
}

// lines are all that it says.
func (n *notice) lines() []styled {
	var lines []styled
	if n.verb != "" {
		lines = append(lines, styled{text: clean(n.verb), ink: func(t *theme) ink { return t.dim }})
	}
	for line := range strings.Lines(n.text) {
		lines = append(lines, styled{text: clean(strings.TrimSuffix(line, "\n")), words: true})
	}
	if n.hint != "" {
		lines = append(lines, styled{text: "→ " + clean(n.hint), ink: func(t *theme) ink { return t.strong }, words: true})
	}
	return append(lines, styled{})
}

// ask puts a question before something that destroys.
func (m *Model) ask(text string, words []string, do func(m *Model) tea.Cmd) {
	m.question = &question{text: text, verb: spoken(words), do: do}
}

// spoken is a verb as one types it.
func spoken(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return "cyclops " + strings.Join(quoted, " ")
}

// quote writes a word so that a shell reads it as one. A line break or another control character
// that is pasted as it is would end the line, and what follows it would be run.
func quote(w string) string {
	switch {
	case strings.ContainsFunc(w, unicode.IsControl):
		var b strings.Builder
		for _, r := range w {
			switch {
			case r == '\n':
				b.WriteString(`\n`)
			case r == '\t':
				b.WriteString(`\t`)
			case unicode.IsControl(r):
				for _, c := range []byte(string(r)) {
					fmt.Fprintf(&b, `\%03o`, c)
				}
			case r == '\'' || r == '\\':
				b.WriteString(`\` + string(r))
			default:
				b.WriteRune(r)
			}
		}
		return "$'" + b.String() + "'"
	case w == "" || strings.ContainsAny(w, " '\"$*?;&|<>()[]{}\\`!#~"):
		return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return w
}
