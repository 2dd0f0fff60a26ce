package tui

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/manifest"
)

func (m *Model) copyCommand() tea.Cmd {
	r := m.current()
	if r == nil {
		return nil
	}
	if known := m.record(r.ref()); known.Spec != nil {
		return m.copyAgain(againMsg{r, known, nil})
	}
	ctx, client := m.ctx, m.client
	return func() tea.Msg {
		record, err := client.Record(ctx, r.ref())
		return againMsg{r, record, err}
	}
}

// againMsg is what is known of a job whose command is to be copied.
type againMsg struct {
	row    *row
	record Record
	err    error
}

// copyAgain copies even where only what the table knows is known: better than nothing, but not the same.
func (m *Model) copyAgain(msg againMsg) tea.Cmd {
	text := againText(msg.row, msg.record)
	done := m.copy(text)
	if msg.record.Spec == nil {
		why := "the host does not tell them"
		if msg.err != nil {
			why = msg.err.Error()
		}
		m.say(notice{text: "copied " + text + "\nwithout its flags: " + why, bad: true})
	}
	return done
}

// record is what is known of a job's documents, if a place that shows them is open.
func (m *Model) record(ref Ref) Record {
	for _, p := range m.stack {
		if j, ok := p.(*jobPane); ok && j.of == ref {
			return j.record
		}
	}
	return Record{}
}

// againText is the command that runs a job again from its tree, as it was asked for there.
func againText(r *row, record Record) string {
	words := []string{"run", "-H", r.host}
	spec := record.Spec
	if spec == nil || len(spec.Steps) == 0 {
		return spoken(append(words, "-c", r.Command))
	}
	if len(spec.Steps) > 1 { // only cyclops.toml can say so: it says the rest too
		return spoken(append(words, cmp.Or(spec.Name, r.Name)))
	}
	words = append(words, asked(spec)...)
	step := &spec.Steps[0]
	if step.Run != "" {
		return spoken(append(words, "-c", step.Run))
	}
	return spoken(append(append(words, "--"), step.Words()...))
}

// asked are the flags of a job.
func asked(spec *manifest.Job) []string {
	return slices.Concat(askedOfHost(spec), askedOfRun(spec), askedOfPlace(spec))
}

// askedOfHost are those that say what it is called and what it needs. Values of variables may be
// secrets: their names pass on those of here.
func askedOfHost(spec *manifest.Job) []string {
	var f flags
	f.text("--name", spec.Name)
	for _, key := range slices.Sorted(maps.Keys(spec.Labels)) {
		f.text("--label", key+"="+spec.Labels[key])
	}
	for _, tool := range spec.Tools {
		f.text("--tool", tool)
	}
	for _, resource := range slices.Sorted(maps.Keys(spec.Needs)) {
		f.text("--need", fmt.Sprintf("%s=%d", resource, spec.Needs[resource]))
	}
	for _, v := range spec.Env {
		if !v.Public {
			f.text("--env", v.Name)
		}
	}
	return f
}

// askedOfRun are those that say when it runs, how long, and what comes back.
func askedOfRun(spec *manifest.Job) []string {
	var f flags
	for _, glob := range spec.Outputs.Fetch {
		f.text("--output", glob)
	}
	f.seconds("--timeout", spec.TimeoutSecs)
	f.seconds("--grace", spec.GraceSecs)
	if spec.Priority == manifest.Low { // the others are what run and submit ask for by themselves
		f.text("--priority", string(spec.Priority))
	}
	for _, id := range spec.After {
		f.text("--after", id)
	}
	return f
}

// askedOfPlace are those that say where it runs.
func askedOfPlace(spec *manifest.Job) []string {
	var f flags
	bare, isolated := spec.Input.Snapshot == "", spec.Workspace.Mode == manifest.Isolated
	f.on("--bare", bare)
	f.on("--isolated", isolated)
	f.on("--concurrent", spec.Workspace.Mode == manifest.Concurrent)
	if !isolated && !ofTree.MatchString(spec.Workspace.Name) {
		f.text("--workspace", spec.Workspace.Name)
	}
	f.text("-C", spec.Dir)
	f.text("--home", string(spec.Home))
	f.on("--setuid", spec.SetUID)
	switch same := spec.SamePath; {
	case same == nil && !bare:
		f.text("--same-path", "off")
	case same != nil && same.Require:
		f.text("--same-path", "require")
	}
	return f
}

// ofTree is the name of a workspace that a tree gets by itself: the project's with eight digits.
var ofTree = regexp.MustCompile(`-[0-9a-f]{8}$`)

// flags are words of a command line.
type flags []string

func (f *flags) text(flag, value string) {
	if value != "" {
		*f = append(*f, flag, value)
	}
}

func (f *flags) on(flag string, is bool) {
	if is {
		*f = append(*f, flag)
	}
}

func (f *flags) seconds(flag string, n float64) {
	if n > 0 {
		*f = append(*f, flag, time.Duration(n*float64(time.Second)).String())
	}
}
