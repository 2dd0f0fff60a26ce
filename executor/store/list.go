package store

import (
	"context"
	"strings"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// Filter selects jobs; its zero value selects all.
type Filter struct {
	States    []manifest.State
	Name      string
	Prefix    string // of the id
	Workspace string
	Before    int64 // only jobs accepted before this number; 0: all
	Limit     int
}

// List returns up to f.Limit jobs, newest first. Its cost is that of what it returns, however
// long the history.
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
		all = merge(all, jobs, f.Limit)
	}
	return all, nil
}

func (s *Store) listState(ctx context.Context, f Filter) ([]Job, error) {
	var where []string
	var args []any
	add := func(clause string, values ...any) {
		where = append(where, clause)
		args = append(args, values...)
	}
	if len(f.States) == 1 {
		add("state = ?", f.States[0])
	}
	if f.Name != "" {
		add("name = ? AND name <> ''", f.Name)
	}
	if f.Workspace != "" {
		add("workspace = ?", f.Workspace)
	}
	if f.Prefix != "" {
		add("id >= ? AND id < ?", f.Prefix, f.Prefix+"\x7f")
	}
	if f.Before > 0 {
		add("seq < ?", f.Before)
	}
	query := `SELECT ` + selected + ` FROM jobs`
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, " AND ")
	}
	return s.query(ctx, query+` ORDER BY seq DESC LIMIT ?`, append(args, f.Limit)...)
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
