package tui

import (
	"slices"

	tea "charm.land/bubbletea/v2"
)

// place is a kind of pane; the table of keys says for each action where it is to be had.
type place int

const (
	inJobs place = 1 << iota
	inJob
	inLog
	inArtifacts
	inText // a preview, a report, a comparison
	inHosts

	onJob    = inJobs | inJob | inLog | inArtifacts
	anywhere = onJob | inText | inHosts
)

var placeNames = map[place]string{
	inJobs: "jobs", inJob: "job", inLog: "log", inArtifacts: "artifacts", inText: "text", inHosts: "hosts",
}

// motion moves within a pane.
type motion struct {
	lines    int
	pages    int // halves of a screen
	ends     int // -1: to the begin, 1: to the end
	sideways int
}

// action is one thing that can be done: the keys, the help, the palette and the hints at the bottom
// are all made from the table of them.
type action struct {
	keys   []string
	places place
	name   string // a word or two; the hints and the palette say it
	says   string // what it does
	verb   string // of the command line, that does the same; empty: it only shows
	hint   place  // where the bottom line mentions it
	by     *motion
	do     func(m *Model) tea.Cmd
}

// actions returns the table.
func actions() []action {
	all := moving()
	all = append(all, onJobs()...)
	all = append(all, inLogs()...)
	all = append(all, onArtifacts()...)
	all = append(all, onHosts()...)
	return append(all, general()...)
}

func moving() []action {
	by := func(m motion) *motion { return &m }
	return []action{
		{keys: []string{"j", "down"}, places: anywhere, name: "down", says: "one line down", by: by(motion{lines: 1})},
		{keys: []string{"k", "up"}, places: anywhere, name: "up", says: "one line up", by: by(motion{lines: -1})},
		{keys: []string{"ctrl+d", "pgdown"}, places: anywhere, name: "page down", says: "half a screen down", by: by(motion{pages: 1})},
		{keys: []string{"ctrl+u", "pgup"}, places: anywhere, name: "page up", says: "half a screen up", by: by(motion{pages: -1})},
		{keys: []string{"g", "home"}, places: anywhere, name: "to the begin", says: "to the first line; of the jobs, the newest", by: by(motion{ends: -1})},
		{keys: []string{"G", "end"}, places: anywhere, name: "to the end", says: "to the last line; of the jobs, the oldest there is", by: by(motion{ends: 1})},
		{keys: []string{"h", "left"}, places: inLog | inText, name: "left", says: "sideways", by: by(motion{sideways: -1})},
		{keys: []string{"l", "right"}, places: inLog | inText, name: "right", says: "sideways", by: by(motion{sideways: 1})},
		{keys: []string{"h", "left"}, places: anywhere &^ (inLog | inText), name: "back", says: "back, as esc", do: (*Model).goBack},
	}
}

func onJobs() []action {
	return []action{
		{keys: []string{"enter", "l", "right"}, places: inJobs, name: "open", says: "all that is known of the job", verb: "show JOB", hint: inJobs, do: (*Model).openJob},
		{keys: []string{"t"}, places: onJob &^ inLog, name: "log", says: "its log", verb: "logs -f JOB", hint: inJobs | inJob, do: (*Model).openLog},
		{keys: []string{"enter", "l", "right"}, places: inJob, name: "log", says: "its log", verb: "logs -f JOB", do: (*Model).openLog},
		{keys: []string{"a"}, places: onJob &^ inArtifacts, name: "artifacts", says: "its artifacts", verb: "manifest show JOB", hint: inJobs | inJob, do: (*Model).openArtifacts},
		{keys: []string{"c"}, places: onJob, name: "cancel", says: "stops it, after a yes", verb: "cancel JOB…", hint: inJobs | inJob | inLog, do: (*Model).cancelJobs},
		{keys: []string{"r"}, places: onJob &^ inLog, name: "retry", says: "runs it again on the same inputs", verb: "retry JOB…", hint: inJobs | inJob, do: (*Model).retryJobs},
		{keys: []string{"p"}, places: inJobs | inJob, name: "priority", says: "moves it in the queue", verb: "reprioritise --priority P JOB…", do: (*Model).reprioritise},
		{keys: []string{"x"}, places: inJobs | inJob, name: "delete", says: "deletes an ended job, after a yes", verb: "rm JOB…", hint: inJob, do: (*Model).removeJobs},
		{keys: []string{"P"}, places: inJobs | inJob, name: "pin", says: "keeps it whatever the host's retention says; or no longer", verb: "pin JOB…", do: (*Model).pinJobs},
		{keys: []string{"F"}, places: inJobs | inJob, name: "fetch", says: "brings what comes by itself to its tree", verb: "fetch JOB", hint: inJob, do: (*Model).fetchOutputs},
		{keys: []string{"!"}, places: onJob &^ inLog, name: "shell", says: "a shell where it runs or ran", verb: "shell JOB", hint: inJob, do: (*Model).openShell},
		{keys: []string{"o"}, places: inJobs | inJob, name: "open locally", says: "a shell in the tree here that it came from", do: (*Model).openTree},
		{keys: []string{"y"}, places: inJobs | inJob | inLog, name: "copy id", says: "copies HOST/ID", do: (*Model).copyID},
		{keys: []string{"Y"}, places: inJobs | inJob, name: "copy command", says: "copies the command that runs it again from a tree", do: (*Model).copyCommand},
		{keys: []string{"w"}, places: inJobs | inJob, name: "watch", says: "tells by the terminal's own means when it ends", verb: "wait JOB", do: (*Model).watchJobs},
		{keys: []string{"space"}, places: inJobs | inArtifacts, name: "mark", says: "marks it; actions are about all that is marked", do: (*Model).mark},
		{keys: []string{"*"}, places: inJobs | inArtifacts, name: "mark all", says: "marks all that is shown, or none", do: (*Model).markAll},
		{keys: []string{"f"}, places: inJobs, name: "filter", says: "only jobs that fit, as state:failed host:lab name:~uart since:2d", verb: "ps --state STATE --name NAME", hint: inJobs, do: (*Model).askFilter},
		{keys: []string{"/"}, places: inJobs, name: "search", says: "to the next job with a text in it", hint: inJobs, do: (*Model).askSearch},
		{keys: []string{"n"}, places: inJobs, name: "next", says: "the next one", do: func(m *Model) tea.Cmd { return m.searchJobs(1) }},
		{keys: []string{"N"}, places: inJobs, name: "previous", says: "the one before", do: func(m *Model) tea.Cmd { return m.searchJobs(-1) }},
		{keys: []string{"s"}, places: inJobs, name: "sort", says: "by the next column", do: (*Model).sortJobs},
		{keys: []string{"S"}, places: inJobs, name: "reverse", says: "the other way round", do: (*Model).reverseJobs},
		{keys: []string{"b"}, places: inJobs, name: "group", says: "by host, by project, or not", do: (*Model).groupJobs},
		{keys: []string{"="}, places: inJobs | inJob | inArtifacts, name: "compare", says: "manifests of two jobs: the two that are marked, or this one and the one before of its name", verb: "manifest diff JOB OTHER", do: (*Model).compareJobs},
	}
}

func general() []action {
	return []action{
		{keys: []string{"1"}, places: anywhere, name: "jobs", says: "the table of all jobs", verb: "ps", do: (*Model).showJobs},
		{keys: []string{"2"}, places: anywhere, name: "hosts", says: "the hosts and how busy they are", verb: "hosts", hint: inJobs, do: (*Model).showHosts},
		{keys: []string{"tab"}, places: anywhere, name: "other table", says: "jobs or hosts", do: (*Model).otherTable},
		{keys: []string{"?"}, places: anywhere, name: "keys", says: "the keys of this place", hint: anywhere, do: (*Model).showKeys},
		{keys: []string{":"}, places: anywhere, name: "all actions", says: "every action, to be found by typing", hint: inJobs | inHosts, do: (*Model).showPalette},
		{keys: []string{"X"}, places: anywhere, name: "stop", says: "stops what is under way here: a fetch, an install; jobs go on", do: (*Model).stopNewest},
		{keys: []string{"m"}, places: anywhere, name: "messages", says: "all of what is said at the bottom, to be scrolled", do: (*Model).showMessages},
		{keys: []string{"esc"}, places: anywhere, name: "back", says: "dismisses a message, drops a filter, goes back", hint: anywhere &^ (inJobs | inHosts), do: (*Model).goBack},
		{keys: []string{"q"}, places: anywhere, name: "quit", says: "back; from a table, leave. Jobs go on", hint: inJobs | inHosts, do: (*Model).leave},
	}
}

// find returns the action of a key in a place.
func (m *Model) find(key string, in place) *action {
	for i := range m.table {
		if m.table[i].places&in != 0 && slices.Contains(m.table[i].keys, key) {
			return &m.table[i]
		}
	}
	return nil
}

// key does what a key means where it is typed.
func (m *Model) key(msg tea.KeyPressMsg) tea.Cmd {
	m.tidy()
	key := msg.String()
	switch {
	case key == "ctrl+c":
		return m.interrupt()
	case m.question != nil:
		return m.answer(key)
	case m.input != nil:
		return m.typed(msg)
	case m.overlay != nil:
		return m.overlay.key(m, msg)
	}
	if a := m.find(key, m.top().place()); a != nil {
		return m.act(a)
	}
	return nil
}

func (m *Model) act(a *action) tea.Cmd {
	if a.by != nil {
		return m.top().move(m, *a.by)
	}
	return a.do(m)
}

func (m *Model) answer(key string) tea.Cmd {
	q := m.question
	switch key {
	case "y", "Y":
		m.question = nil
		return q.do(m)
	case "n", "N", "esc", "q", "enter":
		m.question = nil
	}
	return nil
}

// goBack undoes the newest of what stands in front: a message, a search, a filter, a place.
func (m *Model) goBack() tea.Cmd {
	if m.dismiss() {
		return nil
	}
	if p, ok := m.top().(interface {
		clear(m *Model) (bool, tea.Cmd)
	}); ok {
		if done, cmd := p.clear(m); done {
			return cmd
		}
	}
	m.back()
	return nil
}

func (m *Model) leave() tea.Cmd {
	if len(m.stack) < 2 {
		return m.quit()
	}
	m.back()
	return nil
}

func (m *Model) showJobs() tea.Cmd {
	m.home(m.jobs)
	return m.jobs.reach(m)
}

func (m *Model) showHosts() tea.Cmd {
	m.home(newHostsPane())
	return nil
}

func (m *Model) otherTable() tea.Cmd {
	if m.stack[0] == pane(m.jobs) {
		return m.showHosts()
	}
	return m.showJobs()
}
