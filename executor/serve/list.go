//go:build linux

package serve

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// The sizes of a page.
const (
	defaultLimit = 50
	maxLimit     = 1000
)

func (s *Server) list(ctx context.Context, r *http.Request) (any, error) {
	f, err := filter(r.URL.Query())
	if err != nil {
		return nil, err
	}
	jobs, more, err := s.Engine.List(ctx, f)
	if err != nil {
		return nil, err
	}
	page := api.JobPage{Jobs: jobs}
	switch {
	case more && f.After != 0:
		page.Newer = true
	case more:
		page.Cursor = strconv.FormatInt(jobs[len(jobs)-1].Seq, 10)
	}
	return page, nil
}

func filter(q url.Values) (store.Filter, error) {
	f := store.Filter{
		Name: q.Get("name"), Prefix: q.Get("prefix"), Workspace: q.Get("workspace"), Limit: defaultLimit,
		Like: q.Get("like"), Owner: q.Get("owner"), Project: q.Get("project"), Text: q.Get("text"),
	}
	for _, word := range q["state"] {
		state := manifest.State(word)
		if !slices.Contains(manifest.States, state) {
			return f, api.Errorf(api.Invalid, "", "there is no state %q", word)
		}
		if !slices.Contains(f.States, state) {
			f.States = append(f.States, state)
		}
	}
	if f.Prefix != "" && !manifest.ValidIDPrefix(f.Prefix) {
		return f, api.Errorf(api.Invalid, "", "%q is no beginning of a job id", f.Prefix)
	}
	for key, to := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		if err := timeOf(q, key, to); err != nil {
			return f, err
		}
	}
	return f, bounds(q, &f)
}

func timeOf(q url.Values, key string, to *time.Time) error {
	text := q.Get(key)
	if text == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return api.Errorf(api.Invalid, "", "%s: %q is no time", key, text)
	}
	*to = t
	return nil
}

// bounds reads where a page lies and how long it is.
func bounds(q url.Values, f *store.Filter) error {
	if text := q.Get("cursor"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			return api.Errorf(api.Invalid, "", "%q is no cursor", text)
		}
		f.Before = n
	}
	if text := q.Get("after"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return api.Errorf(api.Invalid, "", "%q is no number of a job", text)
		}
		if f.After = n; n == 0 {
			f.After = -1
		}
	}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return api.Errorf(api.Invalid, "", "%q is no limit", text)
		}
		f.Limit = min(n, maxLimit)
	}
	return nil
}
