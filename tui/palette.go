package tui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// palette finds an action by typing: those of this place first, and those of others, which it goes to.
type palette struct {
	typed  string
	cursor int
}

// choice is an action that the palette offers, and the place where it is to be had.
type choice struct {
	*action
	in   place
	here bool
}

func (m *Model) showPalette() tea.Cmd {
	m.overlay = &palette{}
	return nil
}

func (o *palette) hints() [][2]string {
	return [][2]string{{"enter", "do it"}, {"↑↓", "choose"}, {"esc", "back"}}
}

// fits are the actions that have every typed word in what is said of them.
func (o *palette) fits(m *Model) []choice {
	words := strings.Fields(strings.ToLower(o.typed))
	var all []choice
	for _, c := range m.choices() {
		text := strings.ToLower(c.says() + " " + c.name + " " + c.verb)
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b choice) int { return o.rank(&a) - o.rank(&b) })
	return all
}

// choices are all actions that can be had from here; what only moves is not worth its typing.
func (m *Model) choices() []choice {
	here, said := m.top().place(), map[string]bool{}
	var all []choice
	for _, there := range []bool{false, true} {
		for i := range m.table {
			a := &m.table[i]
			c := choice{action: a, in: here, here: !there}
			if there {
				c.in = m.within(a.places)
			}
			if a.by != nil || (a.places&here != 0) == there || c.in == 0 || said[c.name+a.says] {
				continue
			}
			said[c.name+a.says] = true
			all = append(all, c)
		}
	}
	return all
}

// within is the one of some places that can be gone to from here; 0: none can.
func (m *Model) within(places place) place {
	for _, in := range []place{inJobs, inHosts, inJob, inLog, inArtifacts} {
		if places&in != 0 && (in&(inJobs|inHosts) != 0 || m.subject() != nil) {
			return in
		}
	}
	return 0
}

// subject is the job that a place to go to would be about.
func (m *Model) subject() *row {
	if r := m.current(); r != nil {
		return r
	}
	return m.jobs.current()
}

// says tells what an action does, and where it has to go for that.
func (c *choice) says() string {
	if c.here {
		return c.action.says
	}
	return placeNames[c.in] + ": " + c.action.says
}

// rank puts actions whose name begins with what was typed first, and those of this place before others.
func (o *palette) rank(c *choice) int {
	typed, rank := strings.ToLower(o.typed), 4
	switch {
	case strings.HasPrefix(c.name, typed):
		rank = 0
	case strings.HasPrefix(c.verb, typed):
		rank = 2
	}
	if !c.here {
		rank++
	}
	return rank
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
			return m.choose(&fits[o.cursor])
		}
	case "backspace":
		if runes := []rune(o.typed); len(runes) > 0 {
			o.typed, o.cursor = string(runes[:len(runes)-1]), 0
		}
	default:
		o.add(msg.Text)
	}
	return nil
}

func (o *palette) add(text string) {
	if text != "" {
		o.typed, o.cursor = o.typed+clean(text), 0
	}
}

// choose goes to where an action is to be had, and does it.
func (m *Model) choose(c *choice) tea.Cmd {
	if c.here {
		return m.act(c.action)
	}
	there := m.enter(c.in)
	if p, ok := m.top().(*artifactsPane); ok && p.manifest == nil {
		p.then = c.action // about files that are not known yet
		return there
	}
	return tea.Batch(there, m.act(c.action))
}

// enter goes to a place: of the hosts to that of the job one comes from.
func (m *Model) enter(in place) tea.Cmd {
	r := m.subject()
	switch in {
	case inHosts:
		p := newHostsPane()
		m.home(p)
		if r != nil {
			p.cursor = max(0, slices.IndexFunc(m.hosts, func(h *hostState) bool { return h.Name == r.host }))
		}
		return p.move(m, motion{})
	case inJobs:
		return m.showJobs()
	}
	var there tea.Cmd
	if m.current() == nil {
		there = m.showJobs()
	}
	open := map[place]func(*Model) tea.Cmd{inJob: (*Model).openJob, inLog: (*Model).openLog, inArtifacts: (*Model).openArtifacts}[in]
	return tea.Batch(there, open(m))
}

func (o *palette) over(m *Model, body []string, w, h int) []string {
	t := &m.theme
	inner := min(w-6, 90)
	lines := []string{t.key.paint(":") + " " + fit(o.typed+"▏", inner-2)}
	fits := o.fits(m)
	room := max(1, min(h-5, 14))
	top := scrolled(0, o.cursor, len(fits), room)
	for i := top; i < min(len(fits), top+room); i++ {
		lines = append(lines, o.line(t, &fits[i], i == o.cursor, inner))
	}
	if len(fits) == 0 {
		lines = append(lines, t.dim.paint(fit("nothing is called so", inner)))
	}
	return box(body, lines, inner, w, h)
}

func (o *palette) line(t *theme, c *choice, selected bool, w int) string {
	verb := ""
	if c.verb != "" && w >= 70 {
		verb = "cyclops " + c.verb
	}
	name := fit(c.name, 14)
	left := w - 14 - 1 - 1 - width(verb) - 1 - 5
	key := fitRight(glyph(c.keys[0]), 5)
	says := fit(c.says(), left)
	switch {
	case selected:
		return t.selected.paint(name + " " + says + " " + verb + " " + key)
	case !c.here:
		return t.dim.paint(name+" "+says+" "+verb+" ") + key
	}
	return t.strong.paint(name) + " " + says + " " + t.dim.paint(verb) + " " + t.key.paint(key)
}
