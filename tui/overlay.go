package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
)

// overlay lies on top of a pane and takes its keys.
type overlay interface {
	over(m *Model, body []string, w, h int) []string
	key(m *Model, msg tea.KeyPressMsg) tea.Cmd
	hints() [][2]string
}

// keysOverlay shows the keys of a place.
type keysOverlay struct {
	in  place
	top int
}

func (m *Model) showKeys() tea.Cmd {
	m.overlay = &keysOverlay{in: m.top().place()}
	return nil
}

func (o *keysOverlay) key(m *Model, msg tea.KeyPressMsg) tea.Cmd {
	switch msg.String() {
	case "j", "down", "pgdown", "ctrl+d":
		o.top++
	case "k", "up", "pgup", "ctrl+u":
		o.top = max(0, o.top-1)
	default:
		m.overlay = nil
	}
	return nil
}

func (o *keysOverlay) hints() [][2]string { return [][2]string{{"j/k", "scroll"}, {"esc", "back"}} }

func (o *keysOverlay) over(m *Model, _ []string, w, h int) []string {
	t := &m.theme
	lines := []string{"", " " + t.head.paint("The keys of this place: "+placeNames[o.in]), ""}
	for _, a := range m.table {
		if a.places&o.in == 0 {
			continue
		}
		lines = append(lines, " "+keyLine(t, &a, w-1))
	}
	return lines[min(o.top, max(0, len(lines)-h)):]
}

// keyLine shows an action with its keys and its verb.
func keyLine(t *theme, a *action, w int) string {
	names := make([]string, len(a.keys))
	for i, k := range a.keys {
		names[i] = glyph(k)
	}
	text := t.key.paint(fit(strings.Join(names, " "), 13)) + " "
	says, verb := a.says, a.verb
	left := w - 14
	if verb != "" && w >= 76 {
		verb = "cyclops " + verb
		return text + fit(says, left-width(verb)-1) + " " + t.dim.paint(verb)
	}
	return text + fit(says, left)
}

func glyph(key string) string {
	if g, ok := map[string]string{"down": "↓", "up": "↑", "left": "←", "right": "→", "pgdown": "pgdn", "ctrl+d": "^d", "ctrl+u": "^u"}[key]; ok {
		return g
	}
	return key
}

// box draws lines of inner cells with a border over the middle of a body.
func box(body, lines []string, inner, w, h int) []string {
	framed := strings.Split(lipgloss.NewStyle().Border(lipgloss.RoundedBorder()).Padding(0, 1).Width(inner+4).Render(strings.Join(lines, "\n")), "\n")
	out := make([]string, h)
	copy(out, body)
	top := max(0, (h-len(framed))/4)
	left := max(0, (w-inner-4)/2)
	for i, line := range framed {
		if top+i >= h {
			break
		}
		under := bare(out[top+i])
		under += spaces(w - width(under))
		before := cut(under, 0, left, false)
		out[top+i] = before + spaces(left-width(before)) + line + cut(under, left+inner+4, w, false)
	}
	return out
}
