package tui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// Model is all that the screen shows. Only Update changes it; only commands talk to the hosts.
type Model struct {
	ctx     context.Context
	client  Client
	table   []action
	profile colorprofile.Profile
	dark    bool
	theme   theme
	now     time.Time
	width   int
	height  int

	hosts []*hostState
	jobs  *jobsPane
	stack []pane // the last is on the screen; the first is a table that esc does not leave

	notices  []notice
	unsaid   int // notices that there was no more room for
	question *question
	input    *input
	overlay  overlay
	working  []*underway
	leaving  bool // once nothing is under way any more
}

// pane is one kind of place on the screen.
type pane interface {
	place() place
	title(m *Model) string
	status(m *Model) string
	lines(m *Model, w, h int) []string
	// move obeys keys that only move.
	move(m *Model, by motion) tea.Cmd
	// click is about a line of the pane.
	click(m *Model, line int) tea.Cmd
	// take gets every message that the model itself does not know.
	take(m *Model, msg tea.Msg) tea.Cmd
	close()
}

type (
	tickMsg  time.Time
	eventMsg struct {
		host  string
		event Event
		from  <-chan Event
	}
)

// New returns the Model of a screen on client.
func New(ctx context.Context, client Client) *Model {
	m := &Model{ctx: ctx, client: client, table: actions(), profile: colorprofile.ANSI256, dark: true, now: time.Now(), jobs: newJobsPane()}
	m.theme = newTheme(m.profile, m.dark)
	for _, h := range client.Hosts() {
		m.hosts = append(m.hosts, &hostState{Host: h})
	}
	m.stack = []pane{m.jobs}
	return m
}

// Init begins to watch before anything is asked for, so that nothing is missed between the two.
func (m *Model) Init() tea.Cmd {
	commands := []tea.Cmd{warm, m.tick(), tea.RequestBackgroundColor}
	for _, h := range m.hosts {
		commands = append(commands, receive(h.Name, m.client.Watch(m.ctx, h.Name)))
	}
	m.jobs.restart(m, fromNewest)
	return tea.Batch(commands...)
}

// warm measures one character: what that looks in takes 10 ms to fill, while the hosts are asked.
func warm() tea.Msg {
	_ = width("…")
	return nil
}

// tick moves the clock on the screen, for as long as there is a screen.
func (m *Model) tick() tea.Cmd {
	ctx := m.ctx
	return func() tea.Msg {
		timer := time.NewTimer(time.Second)
		defer timer.Stop()
		select {
		case now := <-timer.C:
			return tickMsg(now)
		case <-ctx.Done():
			return nil
		}
	}
}

// receive waits for the next event of a host.
func receive(host string, events <-chan Event) tea.Cmd {
	return func() tea.Msg {
		if e, ok := <-events; ok {
			return eventMsg{host, e, events}
		}
		return nil
	}
}

// Update takes in what happened. It never waits.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		return m, m.top().move(m, motion{})
	case tea.BackgroundColorMsg:
		m.dark = msg.IsDark()
		m.theme = newTheme(m.profile, m.dark)
	case tea.ColorProfileMsg:
		m.profile = msg.Profile
		m.theme = newTheme(m.profile, m.dark)
	case tickMsg:
		m.now = time.Time(msg)
		return m, tea.Batch(m.tick(), m.pass(msg))
	case tea.KeyPressMsg:
		return m, m.key(msg)
	case tea.PasteMsg:
		return m, m.pasted(msg)
	case tea.MouseMsg:
		return m, m.mouse(msg)
	case eventMsg:
		return m, tea.Batch(receive(msg.host, msg.from), m.takeEvent(msg.host, msg.event))
	case pageMsg:
		return m, m.jobs.takePage(m, msg)
	case progressMsg:
		return m, m.progressed(msg)
	case doneMsg:
		return m, m.done(msg)
	case treeMsg:
		return m, m.enterTree(string(msg))
	case againMsg:
		return m, m.copyAgain(msg)
	case missedMsg:
		return m, m.tell(msg.host, Event{News: msg.news})
	default:
		return m, m.pass(msg)
	}
	return m, nil
}

// pass gives a message to every open pane: the one that waits for it may lie below another.
func (m *Model) pass(msg tea.Msg) tea.Cmd {
	var commands []tea.Cmd
	if m.input != nil {
		commands = append(commands, m.typed(msg))
	}
	for _, p := range m.stack {
		commands = append(commands, p.take(m, msg))
	}
	return tea.Batch(commands...)
}

// takeEvent takes over what a host says; what was known of one that is lost stays on the screen.
func (m *Model) takeEvent(name string, e Event) tea.Cmd {
	h := m.host(name)
	if h == nil {
		return nil
	}
	if e.Err != nil {
		h.fail(e)
		m.jobs.refresh()
		return nil
	}
	h.heard(e)
	told := m.tell(name, e)
	if e.First {
		return tea.Batch(told, m.jobs.greet(m, name), m.catchUp(name))
	}
	return told
}

// tell gives what became known of a host's jobs to all that are about them.
func (m *Model) tell(host string, e Event) tea.Cmd {
	commands := []tea.Cmd{m.announce(m.jobs.takeNews(host, e))}
	m.jobs.settle(m)
	for _, p := range m.stack {
		commands = append(commands, p.take(m, newsMsg{host, e}))
	}
	return tea.Batch(commands...)
}

// newsMsg tells panes that something is known of a host's jobs that was not.
type newsMsg struct {
	host  string
	event Event
}

func (m *Model) top() pane { return m.stack[len(m.stack)-1] }

func (m *Model) push(p pane) {
	m.overlay = nil
	if ref, ok := about(p); ok {
		if r := m.jobs.find(ref); r != nil {
			m.jobs.keep(r)
		}
	}
	m.stack = append(m.stack, p)
}

// back leaves the place on the screen; the tables at the bottom stay.
func (m *Model) back() {
	if len(m.stack) < 2 {
		return
	}
	m.top().close()
	m.stack = m.stack[:len(m.stack)-1]
}

// home opens one of the two tables.
func (m *Model) home(p pane) {
	for len(m.stack) > 1 {
		m.back()
	}
	m.stack[0].close()
	m.stack[0] = p
}

func (m *Model) host(name string) *hostState {
	for _, h := range m.hosts {
		if h.Name == name {
			return h
		}
	}
	return nil
}

// current is the job that the place on the screen is about, as it was last heard of.
func (m *Model) current() *row {
	if ref, ok := about(m.top()); ok {
		if r := m.jobs.find(ref); r != nil {
			return r
		}
		return &row{host: ref.Host, JobInfo: api.JobInfo{ID: ref.ID}}
	}
	if m.top() == pane(m.jobs) {
		return m.jobs.current()
	}
	return nil
}

// chosen are the jobs that an action is about.
func (m *Model) chosen() []*row {
	if m.top() == pane(m.jobs) {
		return m.jobs.chosen()
	}
	if r := m.current(); r != nil {
		return []*row{r}
	}
	return nil
}

func called(r *row) string {
	if r.Name == "" {
		return r.ref().String()
	}
	return clean(r.Name) + " (" + r.ref().String() + ")"
}

// titled is the title of a place about a job: with the job's name where no place before it says that.
func (m *Model) titled(what string, ref Ref) string {
	if len(m.stack) > 2 {
		return what
	}
	if r := m.jobs.find(ref); r != nil && r.Name != "" {
		return r.Name + " › " + what
	}
	return ref.ID + " › " + what
}

// announce tells of watched jobs that ended: on the screen, and by the terminal.
func (m *Model) announce(ended []*row) tea.Cmd {
	var commands []tea.Cmd
	for _, r := range ended {
		if !m.jobs.watched[r.ref()] {
			continue
		}
		delete(m.jobs.watched, r.ref())
		text := called(r) + " " + word(r.State)
		m.say(notice{text: text, bad: r.State != manifest.Succeeded})
		commands = append(commands, tea.Raw(notification(text)))
	}
	return tea.Batch(commands...)
}

func word(s manifest.State) string {
	switch s {
	case manifest.Cancelled, manifest.Lost:
		return "was " + string(s)
	case manifest.TimedOut:
		return "timed out"
	}
	return string(s)
}

// notification is what makes terminals tell their user: OSC 9 where it is known, the bell everywhere.
func notification(text string) string { return "\x1b]9;cyclops: " + clean(text) + "\x1b\\\a" }
