package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

const fieldWidth = 11

// sheet is text under construction: fields, headings and lines in w cells.
type sheet struct {
	t     *theme
	w     int
	lines []string
}

func (s *sheet) add(line string) { s.lines = append(s.lines, line) }

func (s *sheet) head(text string) {
	if len(s.lines) > 0 {
		s.add("")
	}
	s.add(" " + s.t.head.paint(text))
}

// field says one thing, over as many lines as it takes, up to three.
func (s *sheet) field(key, text string) { s.inked(key, text, ink{}) }

func (s *sheet) inked(key, text string, i ink) {
	if text == "" {
		return
	}
	for n, part := range wrapUpTo(text, s.w-fieldWidth-3, 3) {
		if n > 0 {
			key = ""
		}
		s.add(" " + s.t.dim.paint(fit(key, fieldWidth)) + " " + i.paint(part))
	}
}

func (p *jobPane) lines(m *Model, w, h int) []string {
	lines := p.text(m, w)
	return lines[max(0, min(p.first, len(lines)-h)):]
}

// text is all of it, however long.
func (p *jobPane) text(m *Model, w int) []string {
	r := m.jobs.find(p.of)
	if r == nil {
		if p.record.Manifest == nil {
			return []string{"", "  it is not among the jobs that are known now; esc goes back"}
		}
		r = &row{host: p.of.Host, JobInfo: api.JobInfo{ID: p.of.ID, State: p.record.Manifest.State, Name: p.record.Manifest.Name, Accepted: p.record.Manifest.Accepted}}
	}
	s := &sheet{t: &m.theme, w: w}
	p.summary(m, s, r)
	s.head("Steps")
	p.steps(m, s, r)
	p.troubles(s)
	p.inputs(s)
	p.outputs(s, r)
	return s.lines
}

func (p *jobPane) summary(m *Model, s *sheet, r *row) {
	t := &m.theme
	state := stateText(&r.JobInfo)
	if now := stepText(&r.JobInfo); now != "" {
		state += ", " + now
	}
	if h := m.host(p.of.Host); h.lost() {
		s.inked("host", h.Name+" does not answer; this is what was last known", t.warn)
	}
	s.inked("state", state, t.state(r.State))
	s.inked("reason", r.Reason, t.state(r.State))
	s.inked("waits for", r.WaitsFor, t.warn)
	if r.Pinned {
		s.field("pinned", "it is not removed until P unpins it")
	}
	for _, warning := range r.Warnings {
		s.inked("warning", warning, t.warn)
	}
	s.field("command", againText(r, p.record))
	s.field("project", r.Project)
	s.field("owner", r.Owner)
	s.field("accepted", r.Accepted.In(m.now.Location()).Format(time.DateTime)+", "+human.Age(m.now.Sub(r.Accepted))+" ago"+ranText(r, m.now))
	s.field("workspace", r.Workspace)
	s.field("location", r.Location)
	if mf := p.record.Manifest; mf != nil {
		used := fmt.Sprintf("%s CPU, %s memory at most", human.Duration(time.Duration(mf.Usage.CPUSeconds*float64(time.Second))), human.Size(mf.Usage.PeakMemoryBytes))
		if wall := mf.Usage.WallSeconds; wall > 0 {
			used += fmt.Sprintf(", %.0f %% of one core", 100*mf.Usage.CPUSeconds/wall)
		}
		s.field("used", used)
		s.field("held", held(mf))
	}
	if p.problem != "" {
		s.inked("record", "unable to read it: "+p.problem, t.failure)
	}
}

func ranText(r *row, now time.Time) string {
	if r.Started == nil {
		return ""
	}
	return "; ran " + span(r.Started, r.Ended, now)
}

func held(mf *manifest.Manifest) string {
	var all []string
	for name, n := range mf.Resources.Asked {
		text := fmt.Sprintf("%s × %d", name, n)
		if names := mf.Resources.Leased[name]; len(names) > 0 {
			text += " (" + strings.Join(names, ", ") + ")"
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// steps draws them as a timeline: where each lies between the job's start and its end, or now.
func (p *jobPane) steps(m *Model, s *sheet, r *row) {
	t := &m.theme
	steps := r.Steps
	if len(steps) == 0 && p.record.Manifest != nil {
		for _, done := range p.record.Manifest.Steps {
			steps = append(steps, api.StepInfo{Name: done.Name, Started: done.Started, Ended: done.Ended, ExitCode: done.ExitCode})
		}
	}
	from, to := extentOf(steps, m.now)
	bar := max(10, s.w-2-13-8-22)
	for i, step := range steps {
		name := step.Name
		if name == "" {
			name = fmt.Sprintf("step %d", i+1)
		}
		outcome, paint := p.outcome(t, step, i)
		s.add(" " + fit(name, 12) + " " + paint.paint(timeline(step, from, to, m.now, bar)) + " " +
			fitRight(span(step.Started, step.Ended, m.now), 7) + "  " + paint.paint(fit(outcome, 20)))
	}
}

// extentOf is from the start of the first step to the end of the last.
func extentOf(steps []api.StepInfo, now time.Time) (from, to time.Time) {
	for _, step := range steps {
		if step.Started == nil {
			continue
		}
		if from.IsZero() || step.Started.Before(from) {
			from = *step.Started
		}
		end := now
		if step.Ended != nil {
			end = *step.Ended
		}
		if end.After(to) {
			to = end
		}
	}
	return from, to
}

// timeline is a bar of w cells that shows when a step ran.
func timeline(step api.StepInfo, from, to, now time.Time, w int) string {
	if step.Started == nil {
		return strings.Repeat("·", w)
	}
	end := now
	if step.Ended != nil {
		end = *step.Ended
	}
	whole := max(1, to.Sub(from))
	at := func(t time.Time) int { return min(w, max(0, int(int64(w)*int64(t.Sub(from))/int64(whole)))) }
	a, b := at(*step.Started), at(end)
	if b <= a {
		b = min(w, a+1)
		a = b - 1
	}
	return strings.Repeat("·", a) + strings.Repeat("█", b-a) + strings.Repeat("·", w-b)
}

func (p *jobPane) outcome(t *theme, step api.StepInfo, i int) (string, ink) {
	switch {
	case step.Started == nil:
		return "not started", t.dim
	case step.Ended == nil:
		return "running", t.busy
	case step.ExitCode == nil:
		if mf := p.record.Manifest; mf != nil && i < len(mf.Steps) && mf.Steps[i].Signal != "" {
			return "signal " + mf.Steps[i].Signal, t.bad
		}
		return "ended by a signal", t.bad
	case *step.ExitCode != 0:
		return fmt.Sprintf("exit code %d", *step.ExitCode), t.bad
	}
	return "exit code 0", t.good
}

// troubles are lines of the log that tell of errors and warnings.
func (p *jobPane) troubles(s *sheet) {
	found, rest := &p.trouble.found, p.trouble.found.Next > 0 // rest: the log's beginning was not looked at
	if len(found.Hits) == 0 && !rest && p.trouble.problem == "" {
		return
	}
	title := "Errors and warnings in the log"
	switch {
	case len(found.Hits) >= shownTrouble && rest:
		title = fmt.Sprintf("The last %d errors and warnings in the log", shownTrouble)
	case rest:
		title = "Errors and warnings in the last " + human.Size(found.Size-found.Next) + " of the log"
	}
	s.head(title)
	if p.trouble.problem != "" {
		s.inked("", "unable to look for newer ones: "+p.trouble.problem, s.t.warn)
	}
	if len(found.Hits) == 0 && rest {
		s.add(" " + s.t.dim.paint("none"))
	}
	for _, hit := range found.Hits {
		line := bare(safeLine([]byte(hit.Line)))
		s.add(" " + severity(s.t, line).paint(fit(line, s.w-2)))
	}
}

// severity is the ink of a line that tells of an error or a warning.
func severity(t *theme, line string) ink {
	low := strings.ToLower(line)
	if strings.Contains(low, "error") || strings.Contains(low, "fatal") {
		return t.bad
	}
	return t.warn
}

func (p *jobPane) inputs(s *sheet) {
	mf, spec := p.record.Manifest, p.record.Spec
	switch {
	case mf != nil:
		s.head("Inputs")
		if mf.Input.Snapshot != "" {
			s.field("files", fmt.Sprintf("%d, %s", mf.Input.Files, human.Size(mf.Input.Bytes)))
			s.field("snapshot", string(mf.Input.Snapshot)+pinnedText(mf.Input.Pinned))
		} else {
			s.field("files", "none: it was sent without a tree")
		}
		s.git(mf.Input.Git)
		if n := len(mf.ChangedInputs); n > 0 {
			s.inked("rewritten", strings.Join(mf.ChangedInputs[:min(n, 10)], ", "), s.t.warn)
		}
	case spec != nil:
		s.head("Inputs")
		s.field("snapshot", string(spec.Input.Snapshot))
		s.git(spec.Input.Git)
	case !p.read:
		s.head("Inputs")
		s.add(" " + s.t.dim.paint("reading…"))
	}
	if spec != nil && len(spec.Steps) > 0 {
		for i, step := range spec.Steps {
			text := step.Run
			if text == "" {
				text = strings.Join(step.Argv, " ")
			}
			name := step.Name
			if name == "" {
				name = fmt.Sprintf("step %d", i+1)
			}
			s.field(name, text)
		}
	}
}

func pinnedText(pinned bool) string {
	if pinned {
		return ""
	}
	return " (other jobs could change the workspace meanwhile)"
}

func (s *sheet) git(g *manifest.Git) {
	if g == nil || g.Commit == "" {
		return
	}
	text := g.Commit
	if g.Branch != "" {
		text += " on " + g.Branch
	}
	if g.Dirty {
		s.inked("commit", text+", with changes that are in no commit", s.t.warn)
		return
	}
	s.field("commit", text)
}

// outputs sums up what the job left; its artifacts are a place of their own.
func (p *jobPane) outputs(s *sheet, r *row) {
	mf := p.record.Manifest
	if mf == nil {
		return
	}
	s.head("Outputs")
	n, bytes := 0, int64(0)
	for _, a := range mf.Artifacts {
		if !a.OwnLog() {
			n, bytes = n+1, bytes+a.Size
		}
	}
	s.field("artifacts", fmt.Sprintf("%d, %s; a shows them", n, human.Size(bytes)))
	s.field("log", human.Size(max(mf.Usage.LogBytes, r.LogSize))+"; t shows it")
	if len(mf.Missing) > 0 {
		s.inked("missing", strings.Join(mf.Missing, ", "), s.t.warn)
	}
	for _, stale := range mf.Stale {
		s.inked("stale", stale.Pattern+": "+strings.Join(stale.Paths, ", "), s.t.warn)
	}
	for _, refused := range mf.Refused {
		s.inked("refused", refused.Path+": "+refused.Reason, s.t.warn)
	}
}
