package tui

import (
	"slices"
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

// palette finds an action of this place by typing.
type palette struct {
	typed  string
	cursor int
}

func (m *Model) showPalette() tea.Cmd {
	m.overlay = &palette{}
	return nil
}

func (o *palette) hints() [][2]string {
	return [][2]string{{"enter", "do it"}, {"↑↓", "choose"}, {"esc", "back"}}
}

// fits are the actions of a place that have every typed word in what is said of them.
func (o *palette) fits(m *Model) []*action {
	words := strings.Fields(strings.ToLower(o.typed))
	var all []*action
	for i := range m.table {
		a := &m.table[i]
		text := strings.ToLower(a.name + " " + a.says + " " + a.verb)
		if a.places&m.top().place() == 0 || a.by != nil || slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
			continue
		}
		all = append(all, a)
	}
	slices.SortStableFunc(all, func(a, b *action) int { return o.rank(a) - o.rank(b) })
	return all
}

// rank puts actions whose name begins with what was typed first.
func (o *palette) rank(a *action) int {
	typed := strings.ToLower(o.typed)
	switch {
	case strings.HasPrefix(a.name, typed):
		return 0
	case strings.HasPrefix(a.verb, typed):
		return 1
	}
	return 2
}

func (o *palette) key(m *Model, msg tea.KeyPressMsg) tea.Cmd {
	fits := o.fits(m)
	switch key := msg.String(); key {
	case "esc":
		m.overlay = nil
	case "down", "ctrl+n", "tab":
		o.cursor = min(o.cursor+1, max(0, len(fits)-1))
	case "up", "ctrl+p", "shift+tab":
		o.cursor = max(0, o.cursor-1)
	case "enter":
		m.overlay = nil
		if o.cursor < len(fits) {
			return m.act(fits[o.cursor])
		}
	case "backspace":
		if runes := []rune(o.typed); len(runes) > 0 {
			o.typed, o.cursor = string(runes[:len(runes)-1]), 0
		}
	default:
		if msg.Text != "" {
			o.typed, o.cursor = o.typed+clean(msg.Text), 0
		}
	}
	return nil
}

func (o *palette) over(m *Model, body []string, w, h int) []string {
	t := &m.theme
	inner := min(w-6, 90)
	lines := []string{t.key.paint(":") + " " + fit(o.typed+"▏", inner-2)}
	fits := o.fits(m)
	room := max(1, min(h-5, 14))
	top := scrolled(0, o.cursor, len(fits), room)
	for i := top; i < min(len(fits), top+room); i++ {
		lines = append(lines, o.line(t, fits[i], i == o.cursor, inner))
	}
	if len(fits) == 0 {
		lines = append(lines, t.dim.paint(fit("nothing here is called so", inner)))
	}
	return box(body, lines, inner, w, h)
}

func (o *palette) line(t *theme, a *action, selected bool, w int) string {
	verb := ""
	if a.verb != "" && w >= 70 {
		verb = "cyclops " + a.verb
	}
	name := fit(a.name, 14)
	left := w - 14 - 1 - 1 - width(verb) - 1 - 4
	if selected {
		return t.selected.paint(name + " " + fit(a.says, left) + " " + verb + " " + fitRight(glyph(a.keys[0]), 4))
	}
	return t.strong.paint(name) + " " + fit(a.says, left) + " " + t.dim.paint(verb) + " " + t.key.paint(fitRight(glyph(a.keys[0]), 4))
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
