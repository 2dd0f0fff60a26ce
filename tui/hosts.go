package tui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

// hostsPane is the table of hosts, with all that is known of the one under the cursor below it.
type hostsPane struct{ cursor, first int }

func newHostsPane() *hostsPane { return &hostsPane{} }

func (p *hostsPane) place() place { return inHosts }

func (p *hostsPane) title(*Model) string { return "hosts" }

func (p *hostsPane) close() {}

// clear goes to the jobs: esc always leads somewhere.
func (p *hostsPane) clear(m *Model) (bool, tea.Cmd) { return true, m.showJobs() }

func (p *hostsPane) take(*Model, tea.Msg) tea.Cmd { return nil }

func (p *hostsPane) move(m *Model, by motion) tea.Cmd {
	p.cursor += by.lines + by.pages*max(1, m.body()/2)
	switch {
	case by.ends < 0:
		p.cursor = 0
	case by.ends > 0:
		p.cursor = len(m.hosts) - 1
	}
	p.cursor = max(0, min(p.cursor, len(m.hosts)-1))
	p.first = p.scroll(m, m.body())
	return nil
}

// room is how many hosts the table shows of a screen of h lines: some are for the one that is chosen.
func (p *hostsPane) room(m *Model, h int) int { return min(len(m.hosts), max(1, h/2, h-10)) }

func (p *hostsPane) scroll(m *Model, h int) int {
	return scrolled(p.first, p.cursor, len(m.hosts), p.room(m, h))
}

func (p *hostsPane) click(m *Model, line int) tea.Cmd {
	h := m.body()
	i := p.scroll(m, h) + line - 1
	switch {
	case line < 1 || line > p.room(m, h):
		return nil
	case i == p.cursor:
		return m.hostJobs()
	}
	p.cursor = i
	return nil
}

func onHosts() []action {
	return []action{
		{keys: []string{"enter", "l", "right"}, places: inHosts, name: "jobs", says: "the jobs of the host", verb: "ps -H HOST", hint: inHosts, do: (*Model).hostJobs},
		{keys: []string{"i"}, places: inHosts, name: "install", says: "puts the executor on it, or on a machine that you name", verb: "install HOST", hint: inHosts, do: (*Model).installHost},
		{keys: []string{"u"}, places: inHosts, name: "upgrade", says: "brings its executor up to date; jobs go on", verb: "install HOST", hint: inHosts, do: (*Model).upgradeHost},
		{keys: []string{"D"}, places: inHosts, name: "drain", says: "lets it start no new jobs, after a yes; what runs finishes", verb: "drain HOST", hint: inHosts, do: (*Model).drainHost},
		{keys: []string{"R"}, places: inHosts, name: "resume", says: "lets it start jobs again", verb: "resume HOST", hint: inHosts, do: (*Model).resumeHost},
		{keys: []string{"d"}, places: inHosts, name: "doctor", says: "checks each part of the way to it, and says what to do", verb: "doctor HOST", hint: inHosts, do: (*Model).askDoctor},
		{keys: []string{"C"}, places: inHosts, name: "clean up", says: "shows what could be freed", verb: "gc HOST", do: (*Model).cleanHost},
		{keys: []string{"C"}, places: inText, name: "free", says: "frees what is shown of a host, after a yes", verb: "gc --yes HOST", do: (*Model).takeOffer},
		{keys: []string{"y"}, places: inHosts, name: "copy name", says: "copies its name", do: func(m *Model) tea.Cmd {
			if h := m.chosenHost(); h != nil {
				return m.copy(h.Name)
			}
			return nil
		}},
	}
}

func (m *Model) chosenHost() *hostState {
	if p, ok := m.top().(*hostsPane); ok && p.cursor < len(m.hosts) {
		return m.hosts[p.cursor]
	}
	return nil
}

func (m *Model) hostJobs() tea.Cmd {
	h := m.chosenHost()
	if h == nil {
		return nil
	}
	there := tea.Batch(m.showJobs(), m.filter("host:"+h.Name))
	m.jobs.fromHosts = true
	return there
}

func (m *Model) installHost() tea.Cmd {
	name := ""
	if h := m.chosenHost(); h != nil && !m.isLocal(h.Name) {
		name = h.Name
	}
	return m.open(&input{
		label: "install on", help: "a host of the config, or [user@]machine that ssh reaches: cyclops install HOST",
		suggest: func(string) []string { return m.remoteNames() },
		accept: func(m *Model, name string) tea.Cmd {
			if name = strings.TrimSpace(name); name == "" {
				return nil
			}
			return m.verb([]string{"install", name}, nil)
		},
	}, name)
}

// remoteNames are the hosts that an executor can be put on.
func (m *Model) remoteNames() (names []string) {
	for _, h := range m.hosts {
		if !m.isLocal(h.Name) {
			names = append(names, h.Name)
		}
	}
	return names
}

func (m *Model) isLocal(name string) bool { return name == "local" }

func (m *Model) upgradeHost() tea.Cmd {
	h := m.chosenHost()
	switch {
	case h == nil:
		return nil
	case m.isLocal(h.Name):
		m.say(notice{text: "this machine's executor is part of cyclops itself", bad: true})
		return nil
	}
	return m.verb([]string{"install", h.Name}, nil)
}

func (m *Model) drainHost() tea.Cmd {
	h := m.chosenHost()
	if h == nil {
		return nil
	}
	words := []string{"drain", h.Name}
	m.ask("Drain "+h.Name+"? It starts no new jobs and refuses those that are sent; what runs finishes.", words, func(m *Model) tea.Cmd { return m.verb(words, nil) })
	return nil
}

func (m *Model) resumeHost() tea.Cmd {
	h := m.chosenHost()
	if h == nil {
		return nil
	}
	return m.verb([]string{"resume", h.Name}, nil)
}

func (p *hostsPane) status(m *Model) string {
	return m.theme.dim.paint(fit("this machine, and the hosts of your config", m.width-2))
}

func (p *hostsPane) lines(m *Model, w, h int) []string {
	t := &m.theme
	address := min(28, w-56) // a narrow screen has no room for it
	if address < 8 {
		address = 0
	}
	head := "  " + fit("HOST", 12) + " " + fit("ADDRESS", address) + " " + fit("EXECUTOR", 16) + " " + fitRight("RUNNING", 9) + " " + fitRight("QUEUED", 6) + " " + fitRight("DISK", 5)
	lines := []string{t.head.paint(fit(head, w))}
	for i := p.scroll(m, h); i < len(m.hosts) && len(lines) <= p.room(m, h); i++ {
		lines = append(lines, p.line(t, m.hosts[i], i == p.cursor, address, w))
	}
	if p.cursor < len(m.hosts) && h-len(lines) > 4 {
		s := &sheet{t: t, w: w}
		s.add("")
		m.hosts[p.cursor].describe(m, s)
		lines = append(lines, s.lines...)
	}
	return lines[:min(len(lines), h)]
}

func (p *hostsPane) line(t *theme, h *hostState, selected bool, address, w int) string {
	name := h.Name
	if h.Default {
		name += " *"
	}
	version, running, queued, disk := "asking…", "-", "-", "-"
	paint := t.dim
	switch {
	case h.lost():
		version, paint = wordOf(h.kind), t.bad
	case h.hello != nil:
		version, paint = h.hello.Executor, t.good
	case h.asked:
		version = "answers"
	}
	if s := h.status; s != nil {
		running, queued = fmt.Sprintf("%d of %d", s.Running, s.Slots), fmt.Sprint(s.Queued)
		if s.DiskTotal > 0 {
			disk = fmt.Sprintf("%d %%", 100*(s.DiskTotal-s.DiskFree)/s.DiskTotal)
		}
		if s.Draining && !h.lost() {
			version, paint = "drains", t.warn
		}
	}
	front := "  " + fit(name, 12) + " " + fit(dash(h.Address), address) + " "
	back := " " + fitRight(running, 9) + " " + fitRight(queued, 6) + " " + fitRight(disk, 5)
	switch {
	case selected:
		return t.selected.paint(fit(front+fit(version, 16)+back, w))
	case h.lost():
		return t.dim.paint(front) + paint.paint(fit(version, 16)) + t.dim.paint(back)
	}
	return front + paint.paint(fit(version, 16)) + back
}

// wordOf says in a word or two why a host is not there.
func wordOf(k api.Kind) string {
	switch k {
	case api.NoExecutor:
		return "no executor"
	case api.Auth:
		return "not let in"
	case api.HostKey:
		return "host key"
	case api.Incompatible:
		return "other version"
	}
	return "lost"
}

// describe says all that is known of a host.
func (h *hostState) describe(m *Model, s *sheet) {
	t := s.t
	s.add(" " + t.head.paint(h.Name))
	if h.lost() {
		s.inked("problem", h.problem, t.bad)
		s.inked("to do", h.hint, t.strong)
		s.field("since", human.Age(m.now.Sub(h.since)))
	}
	if hello := h.hello; hello != nil {
		s.field("executor", fmt.Sprintf("%s, API %d, on %s/%s as %s@%s", hello.Executor, hello.API, hello.OS, hello.Arch, hello.User, hello.Host))
		s.field("data", hello.Data+", store "+hello.Store)
	}
	st := h.status
	if st == nil {
		return
	}
	s.field("jobs", fmt.Sprintf("%d running in %d slots, %d waiting", st.Running, st.Slots, st.Queued))
	if st.Draining {
		s.inked("draining", "it starts no new jobs and refuses those that are sent; R resumes", t.warn)
	}
	s.field("load", fmt.Sprintf("%.2f", st.Load))
	if st.DiskTotal > 0 {
		s.inked("disk", fmt.Sprintf("%s free of %s  %s", human.Size(st.DiskFree), human.Size(st.DiskTotal), gauge(st.DiskTotal-st.DiskFree, st.DiskTotal, 20)), diskInk(t, st))
	}
	for _, r := range st.Resources {
		s.field(r.Name, fmt.Sprintf("%d of %d held  %s", r.Held, r.Total, gauge(int64(r.Held), int64(r.Total), 20)))
	}
	if len(st.Tools) > 0 {
		tools := slices.Clone(st.Tools)
		slices.Sort(tools)
		s.field("tools", strings.Join(tools, ", "))
	}
	s.field("up", human.Age(m.now.Sub(st.Started)))
}

func diskInk(t *theme, st *api.Status) ink {
	if st.DiskFree < st.DiskTotal/20 {
		return t.bad
	}
	return ink{}
}

// gauge draws how much of something is taken.
func gauge(part, whole int64, w int) string {
	if whole <= 0 {
		return ""
	}
	n := int(int64(w) * min(part, whole) / whole)
	return strings.Repeat("▰", n) + strings.Repeat("▱", w-n)
}
