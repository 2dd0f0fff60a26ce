//go:build linux

// Package supervise runs one job: it owns its processes, its log and its record, and outlives
// the daemon that started it.
package supervise

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/environ"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// Launch is what a supervisor is told on its standard input, as one JSON document.
type Launch struct {
	Data     layout.Data         `json:"data"`
	Self     []string            `json:"self"` // argv that gives this binary the executor's role; a verb follows
	Job      json.RawMessage     `json:"job"`  // a manifest.Job
	Accepted time.Time           `json:"accepted"`
	Packs    []manifest.Digest   `json:"packs,omitempty"` // that the snapshot draws on
	Environ  [][]byte            `json:"environ"`         // NAME=value of the login shell; bytes, not text
	Tools    []environ.Tool      `json:"tools,omitempty"` // those the job asks for, in its order
	Leased   map[string][]string `json:"leased,omitempty"`
	Host     string              `json:"host"`
	Store    string              `json:"store"`
	Executor string              `json:"executor"` // version
	Upstream []manifest.Upstream `json:"upstream,omitempty"`
}

// maxLaunch bounds a launch document in bytes.
const maxLaunch = manifest.MaxDocumentSize

// readLaunch reads the document and the job inside it.
func readLaunch(r io.Reader) (*Launch, *manifest.Job, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxLaunch+1))
	if err != nil {
		return nil, nil, fmt.Errorf("unable to read what to run: %w", err)
	}
	l := new(Launch)
	if err := json.Unmarshal(data, l); err != nil {
		return nil, nil, fmt.Errorf("unable to read what to run: %w", err)
	}
	j, err := l.job()
	return l, j, err
}

func (l *Launch) job() (*manifest.Job, error) {
	if !filepath.IsAbs(string(l.Data)) {
		return nil, fmt.Errorf("data directory %q is not absolute", l.Data)
	}
	j, err := manifest.DecodeJob(l.Job)
	if err != nil {
		return nil, err
	}
	return j, j.Validate()
}

// SetEnviron fills in the login environment.
func (l *Launch) SetEnviron(vars []string) {
	l.Environ = make([][]byte, len(vars))
	for i, v := range vars {
		l.Environ[i] = []byte(v)
	}
}

func (l *Launch) vars() []string {
	vars := make([]string, len(l.Environ))
	for i, v := range l.Environ {
		vars[i] = string(v)
	}
	return vars
}

// packSums returns the raw digests of the packs.
func (l *Launch) packSums() ([]manifest.Sum, error) {
	sums := make([]manifest.Sum, len(l.Packs))
	for i, d := range l.Packs {
		var err error
		if sums[i], err = d.Sum(); err != nil {
			return nil, err
		}
	}
	return sums, nil
}

// WorkspaceName returns the name of the directory below workspaces/ that the job runs in: one
// of its own when it asks for isolation.
func WorkspaceName(j *manifest.Job) string {
	if j.Workspace.Mode == manifest.Isolated {
		return j.ID
	}
	return j.Workspace.Name
}
