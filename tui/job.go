package tui

import (
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

func (m *Model) openJob() tea.Cmd {
	j, ok := m.job()
	if !ok {
		return nil
	}
	m.view, m.scroll, m.manifest, m.unread = jobView, 0, nil, ""
	if j.State.Ended() {
		return m.readManifest(j)
	}
	return nil
}

func (m *Model) readManifest(j api.JobInfo) tea.Cmd {
	ctx, client := m.ctx, m.client
	return func() tea.Msg {
		record, err := client.Manifest(ctx, j.ID)
		return manifestMsg{j.ID, record, err}
	}
}

func (m *Model) jobKey(key string) tea.Cmd {
	switch key {
	case "q", "esc", "h", "left":
		m.view = jobsView
		m.choose()
	case "enter", "l", "right":
		return m.openLog()
	case "c", "r", "x":
		return m.action(key)
	default:
		n := len(m.recordLines())
		m.scroll = min(max(m.scroll+step(key, m.body(), n), 0), max(0, n-m.body()))
	}
	return nil
}

// recordLines renders all that is known of the selected job.
func (m *Model) recordLines() []string {
	j, ok := m.job()
	if !ok {
		return []string{m.field("job", j.ID), "it is not among the jobs that the host lists any more"}
	}
	lines := []string{
		m.field("job", m.client.Host()+"/"+j.ID),
		m.field("name", dash(j.Name)),
		m.label("state") + paint(m.theme.state(j.State), fit(stateText(j), m.width-13)),
	}
	optional := func(key, text string) {
		if text != "" {
			lines = append(lines, m.field(key, text))
		}
	}
	optional("reason", j.Reason)
	optional("waits for", j.WaitsFor)
	optional("command", j.Command)
	optional("project", j.Project)
	optional("owner", j.Owner)
	optional("accepted", j.Accepted.In(m.now.Location()).Format(time.DateTime))
	optional("ran", jobTime(j, m.now))
	optional("workspace", j.Workspace)
	optional("log", human.Size(j.LogSize))
	optional("location", j.Location)
	lines = append(lines, m.stepLines(j)...)
	return append(lines, m.artifactLines(j)...)
}

func (m *Model) label(key string) string { return " " + paint(m.theme.dim, fit(key, 11)) + " " }

func (m *Model) field(key, text string) string { return m.label(key) + fit(text, m.width-13) }

func (m *Model) stepLines(j api.JobInfo) []string {
	lines := []string{"", paint(m.theme.head, " STEPS")}
	for i, s := range j.Steps {
		name := s.Name
		if name == "" {
			name = fmt.Sprintf("%d", i+1)
		}
		lines = append(lines, " "+fit(name, 16)+" "+fit(span(s.Started, s.Ended, m.now), 8)+" "+m.stepOutcome(s))
	}
	return lines
}

func (m *Model) stepOutcome(s api.StepInfo) string {
	switch {
	case s.Started == nil:
		return paint(m.theme.dim, "not started")
	case s.Ended == nil:
		return paint(m.theme.busy, "running")
	case s.ExitCode == nil:
		return paint(m.theme.bad, "ended by a signal")
	case *s.ExitCode != 0:
		return paint(m.theme.bad, fmt.Sprintf("exit code %d", *s.ExitCode))
	}
	return paint(m.theme.good, "exit code 0")
}

func (m *Model) artifactLines(j api.JobInfo) []string {
	lines := []string{"", paint(m.theme.head, " ARTIFACTS")}
	switch {
	case !j.State.Ended():
		return append(lines, " known when the job has ended")
	case m.unread != "":
		return append(lines, paint(m.theme.problem, fit(" unable to read the manifest: "+m.unread, m.width)))
	case m.manifest == nil:
		return append(lines, " reading…")
	}
	for _, a := range m.manifest.Artifacts {
		if a.OwnLog() {
			continue
		}
		name := a.Name
		if !a.Fresh {
			name += "  (not written by this job)"
		}
		lines = append(lines, " "+fit(string(a.Kind), 10)+" "+fmt.Sprintf("%10s", human.Size(a.Size))+"  "+fit(name, m.width-24))
	}
	for _, pattern := range m.manifest.Missing {
		lines = append(lines, " "+paint(m.theme.warn, fit("missing", 10))+fit(" "+pattern, m.width-11))
	}
	if len(lines) == 2 {
		return append(lines, " none")
	}
	return lines
}
