package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"
)

// reading is how far a place has come with reading the documents of its job.
type reading struct {
	asked  bool // they are on their way
	failed bool // the host did not give them
	ended  bool // the job had, when they were asked for last
}

// recordMsg is what a job's documents say.
type recordMsg struct {
	of     Ref
	record Record
	ended  bool // the job had, when they were asked for
	err    error
}

// ask returns the command that reads the documents of a job.
func (r *reading) ask(ctx context.Context, client Client, job *row) tea.Cmd {
	r.asked = true
	of, ended := job.ref(), job.State.Ended()
	return func() tea.Msg {
		record, err := client.Record(ctx, of)
		return recordMsg{of, record, ended, err}
	}
}

// got takes note of an answer.
func (r *reading) got(msg recordMsg) {
	r.asked, r.failed, r.ended = false, msg.err != nil, msg.ended
}

// again tells whether to ask once more, now that e is known of a job, which may be nil: a host that
// gave nothing is asked when it is back, any when the job has ended.
func (r *reading) again(job *row, e Event) bool {
	switch {
	case job == nil || r.asked:
		return false
	case r.failed && e.First:
		return true
	}
	return job.State.Ended() && !r.ended
}
