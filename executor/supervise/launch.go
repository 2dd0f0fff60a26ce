//go:build linux

// Package supervise runs one job: it owns its processes, its log and its record, and outlives
// the daemon that started it.
package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"path/filepath"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/environ"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// Launch is what a supervisor is told on its standard input, as one JSON document.
type Launch struct {
	Data     layout.Data         `json:"data"`
	Self     []string            `json:"self"`             // argv that gives this binary the executor's role; a verb follows
	Job      json.RawMessage     `json:"job"`              // a manifest.Job
	Beside   json.RawMessage     `json:"beside,omitempty"` // the manifest.Job in whose workspace it runs
	Attempt  int                 `json:"attempt"`          // number of this start of the job
	Accepted time.Time           `json:"accepted"`
	Packs    []manifest.Digest   `json:"packs,omitempty"` // that the snapshot draws on
	Environ  [][]byte            `json:"environ"`         // NAME=value of the login shell; bytes, not text
	Tools    []environ.Tool      `json:"tools,omitempty"` // those the job asks for, in its order
	Leased   map[string][]string `json:"leased,omitempty"`
	Host     string              `json:"host"`
	Store    string              `json:"store"`
	Executor string              `json:"executor"` // version
	Upstream []manifest.Upstream `json:"upstream,omitempty"`
	Limits   Limits              `json:"limits"`
}

// maxLaunch bounds a launch document in bytes.
const maxLaunch = manifest.MaxDocumentSize

// readLaunch reads the document and the job inside it.
func readLaunch(r io.Reader) (*Launch, *manifest.Job, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxLaunch+1))
	if err = errors.Join(err, failpoint.At(failpoint.SuperviseRead)); err != nil {
		return nil, nil, fmt.Errorf("unable to read what to run: %w", err)
	}
	l := new(Launch)
	if err := json.Unmarshal(data, l); err != nil {
		return nil, nil, fmt.Errorf("unable to read what to run: %w", err)
	}
	j, err := l.Document()
	return l, j, err
}

// Document returns the job that is to run. One beside another sees what that one saw: the same
// directory, environment and paths.
func (l *Launch) Document() (*manifest.Job, error) {
	if !filepath.IsAbs(string(l.Data)) {
		return nil, fmt.Errorf("data directory %q is not absolute", l.Data)
	}
	j, err := manifest.DecodeJob(l.Job)
	if err != nil {
		return nil, err
	}
	if len(l.Beside) > 0 {
		base, err := manifest.DecodeJob(l.Beside)
		if err != nil {
			return nil, err
		}
		standIn(j, base)
	}
	return j, j.Validate()
}

// standIn gives j the place of base and all that base saw there.
func standIn(j, base *manifest.Job) {
	j.Workspace, j.Dir, j.Tools = base.Workspace, base.Dir, base.Tools
	j.Home, j.SamePath, j.SetUID = base.Home, base.SamePath, base.SetUID
	own := j.Env
	j.Env = base.Env
	for _, v := range own {
		j.SetEnv(v)
	}
}

// around names what is leased where the job runs: to itself, or to the one beside which it runs.
func (l *Launch) around() iter.Seq[string] {
	base, err := manifest.DecodeJob(l.Beside)
	if err != nil {
		return maps.Keys(l.Leased)
	}
	return maps.Keys(base.Needs)
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
// of its own when it asks for isolation, or that of the job it runs beside.
func WorkspaceName(j *manifest.Job) string {
	switch {
	case j.Workspace.Mode != manifest.Isolated:
		return j.Workspace.Name
	case j.Beside != "":
		return j.Beside
	}
	return j.ID
}
