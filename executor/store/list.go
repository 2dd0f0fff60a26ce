package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// Filter selects jobs; its zero value selects all.
type Filter struct {
	States    []manifest.State
	Name      string
	Prefix    string // of the id
	Workspace string
	Like      string // in the name, whatever the case
	Owner     string
	Project   string
	Text      string    // in the id, the name, the workspace, the reason or what else people read of a job, whatever the case
	Since     time.Time // accepted then or later; zero: no bound
	Until     time.Time // accepted before; zero: no bound
	Before    int64     // only jobs accepted before this number; 0: all
	After     int64     // the jobs next behind this number instead of the newest; -1: the oldest of all; 0: no bound
	Limit     int
}

// List returns up to f.Limit jobs, newest first. Its cost is that of what it returns, however
// long the history, unless it looks into what is not indexed. Damaged rows are left out.
func (s *Store) List(ctx context.Context, f Filter) ([]Job, error) {
	if len(f.States) < 2 {
		return s.listState(ctx, f)
	}
	// One state at a time walks the index of states from its end; asked for together, SQLite
	// would sort all that match.
	var all []Job
	for _, state := range f.States {
		one := f
		one.States = []manifest.State{state}
		jobs, err := s.listState(ctx, one)
		if err != nil {
			return nil, err
		}
		all = merge(all, jobs, 2*f.Limit)
		if f.After != 0 {
			all = all[max(0, len(all)-f.Limit):]
		} else {
			all = all[:min(len(all), f.Limit)]
		}
	}
	return all, nil
}

// selection gathers the conditions of one query.
type selection struct {
	where []string
	args  []any
}

func (q *selection) add(clause string, values ...any) {
	q.where = append(q.where, clause)
	q.args = append(q.args, values...)
}

func (s *Store) listState(ctx context.Context, f Filter) ([]Job, error) {
	var q selection
	q.add(soundJob()) // one damaged row must not hide the others; Check tells of it
	if len(f.States) == 1 {
		q.add("state = ?", f.States[0])
	}
	if f.Name != "" {
		q.add("name = ? AND name <> ''", f.Name)
	}
	if f.Workspace != "" {
		q.add("workspace = ?", f.Workspace)
	}
	if f.Prefix != "" {
		q.add("id >= ? AND id < ?", f.Prefix, f.Prefix+"\x7f")
	}
	q.unindexed(f)
	if f.Before > 0 {
		q.add("seq < ?", f.Before)
	}
	if f.After != 0 {
		q.add("seq > ?", f.After)
	}
	query := `SELECT ` + selected + ` FROM jobs WHERE ` + strings.Join(q.where, " AND ")
	if f.After == 0 {
		return s.query(ctx, query+` ORDER BY seq DESC LIMIT ?`, append(q.args, f.Limit)...)
	}
	jobs, err := s.query(ctx, query+` ORDER BY seq LIMIT ?`, append(q.args, f.Limit)...)
	slices.Reverse(jobs)
	return jobs, err
}

// unindexed looks into rows one after another, as for a person who searches.
func (q *selection) unindexed(f Filter) {
	if f.Like != "" {
		q.add("instr(lower(name), ?) > 0", strings.ToLower(f.Like))
	}
	for key, want := range map[string]string{"$.owner": f.Owner, "$.project": f.Project} {
		if want != "" {
			q.add("json_extract(CAST(about AS TEXT), ?) = ?", key, want)
		}
	}
	if f.Text != "" {
		text := strings.ToLower(f.Text)
		q.add("(instr(lower(name), ?) > 0 OR instr(id, ?) > 0 OR instr(lower(workspace), ?) > 0 OR instr(lower(reason), ?) > 0 OR instr(lower(CAST(about AS TEXT)), ?) > 0)",
			text, text, text, text, text)
	}
	if !f.Since.IsZero() {
		q.add("accepted >= ?", nano(f.Since))
	}
	if !f.Until.IsZero() {
		q.add("accepted < ?", nano(f.Until))
	}
}

// merge merges two lists that are newest first, up to limit.
func merge(a, b []Job, limit int) []Job {
	out := make([]Job, 0, min(limit, len(a)+len(b)))
	for len(out) < limit && len(a)+len(b) > 0 {
		if len(b) == 0 || len(a) > 0 && a[0].Seq > b[0].Seq {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return out
}
