package tui

import (
	"cmp"
	"fmt"
	"maps"
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
		return m.copyAgain(againMsg{r, known})
	}
	ctx, client := m.ctx, m.client
	return func() tea.Msg {
		record, err := client.Record(ctx, r.ref())
		if err != nil {
			record = Record{} // what the table knows is better than nothing
		}
		return againMsg{r, record}
	}
}

// againMsg is what is known of a job whose command is to be copied.
type againMsg struct {
	row    *row
	record Record
}

func (m *Model) copyAgain(msg againMsg) tea.Cmd {
	return m.copy(againText(msg.row, msg.record))
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

// asked are the flags of a job. Values of variables may be secrets: their names pass on those of here.
func asked(spec *manifest.Job) []string {
	var flags []string
	if spec.Name != "" {
		flags = append(flags, "--name", spec.Name)
	}
	for _, tool := range spec.Tools {
		flags = append(flags, "--tool", tool)
	}
	for _, resource := range slices.Sorted(maps.Keys(spec.Needs)) {
		flags = append(flags, "--need", fmt.Sprintf("%s=%d", resource, spec.Needs[resource]))
	}
	for _, v := range spec.Env {
		if !v.Public {
			flags = append(flags, "--env", v.Name)
		}
	}
	for _, glob := range spec.Outputs.Fetch {
		flags = append(flags, "--output", glob)
	}
	if spec.TimeoutSecs > 0 {
		flags = append(flags, "--timeout", time.Duration(spec.TimeoutSecs*float64(time.Second)).String())
	}
	switch {
	case spec.Input.Snapshot == "":
		flags = append(flags, "--bare")
	case spec.Workspace.Mode == manifest.Isolated:
		flags = append(flags, "--isolated")
	}
	return flags
}
