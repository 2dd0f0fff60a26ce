package tui

import (
	"context"
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

type view int

const (
	jobsView view = iota
	jobView
	logView
)

// Model is all that the screen shows. Only Update changes it; only commands talk to the host.
type Model struct {
	ctx    context.Context
	client Client
	theme  theme
	now    time.Time
	width  int
	height int
	view   view
	help   bool

	watch    <-chan Jobs
	jobs     []api.JobInfo
	loaded   bool
	problem  string // why the host does not answer; goes when it does
	notice   string // what came of an action; stays until dismissed
	failed   bool   // the notice is of a failure
	question *question

	selected string // id, so that new jobs do not move the choice to another one
	filter   string
	typing   bool

	manifest *manifest.Manifest // of the selected job, once it ended
	unread   string             // why there is no manifest
	scroll   int
	log      *logPane
}

// question stands until it is answered; only y does what it asks.
type question struct {
	text string
	do   tea.Cmd
}

type (
	tickMsg     time.Time
	manifestMsg struct {
		id  string
		m   *manifest.Manifest
		err error
	}
	doneMsg struct {
		text string
		err  error
	}
)

// New returns the Model of a screen on client.
func New(ctx context.Context, client Client, colour bool) *Model {
	return &Model{ctx: ctx, client: client, theme: newTheme(colour, true), now: time.Now()}
}

// Init begins to watch the host.
func (m *Model) Init() tea.Cmd {
	m.watch = m.client.Watch(m.ctx)
	return tea.Batch(receive(m.watch), tick(), tea.RequestBackgroundColor)
}

func tick() tea.Cmd { return tea.Tick(time.Second, func(t time.Time) tea.Msg { return tickMsg(t) }) }

// receive waits for one look at the host.
func receive(watch <-chan Jobs) tea.Cmd {
	return func() tea.Msg {
		if jobs, ok := <-watch; ok {
			return jobs
		}
		return nil
	}
}

// Update takes in what happened. It never waits.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.BackgroundColorMsg:
		m.theme = newTheme(m.theme.colour, msg.IsDark())
	case tickMsg:
		m.now = time.Time(msg)
		return m, tick()
	case Jobs:
		return m, m.takeJobs(msg)
	case manifestMsg:
		m.takeManifest(msg)
	case doneMsg:
		m.say(msg.text, msg.err)
	case logMsg:
		return m, m.takeLog(msg)
	case tea.KeyPressMsg:
		return m, m.key(msg.String())
	}
	return m, nil
}

// takeJobs keeps what was known when the host does not answer.
func (m *Model) takeJobs(look Jobs) tea.Cmd {
	if look.Err != nil {
		m.problem = fmt.Sprintf("%s does not answer, trying again every %s: %v", m.client.Host(), human.Duration(look.Retry), look.Err)
		return receive(m.watch)
	}
	before, known := m.job()
	m.jobs, m.loaded, m.problem = look.Jobs, true, ""
	after, still := m.job()
	m.choose()
	if m.view != jobsView && known && still && after.State.Ended() && !before.State.Ended() {
		return tea.Batch(receive(m.watch), m.readManifest(after))
	}
	return receive(m.watch)
}

func (m *Model) takeManifest(msg manifestMsg) {
	if msg.id != m.selected {
		return
	}
	m.manifest, m.unread = msg.m, ""
	if msg.err != nil {
		m.unread = msg.err.Error()
	}
}

func (m *Model) say(text string, err error) {
	m.notice, m.failed = text, err != nil
	if err != nil {
		m.notice = text + ": " + err.Error()
	}
}

// job returns the selected job as it was last seen.
func (m *Model) job() (api.JobInfo, bool) {
	i := slices.IndexFunc(m.jobs, func(j api.JobInfo) bool { return j.ID == m.selected })
	if i < 0 {
		return api.JobInfo{ID: m.selected}, false
	}
	return m.jobs[i], true
}
