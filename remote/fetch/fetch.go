// Package fetch puts a job's artifacts where a local run would have put them, and nothing of the user's at risk.
package fetch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote/place"
	"github.com/cyclops-fpga/cyclops/remote/scan"
	"github.com/cyclops-fpga/cyclops/remote/ship"
)

// Request says what to fetch and where to.
type Request struct {
	Manifest    *manifest.Manifest
	Root        string        // directory on this machine that names are relative to; made if missing
	Dirs        place.Dirs    // the record of what was placed lies in State
	Pinned      Pinned        // what the job's inputs were; nil: not known
	Patterns    []string      // globs, or directories; empty: what comes back by itself
	All         bool          // everything the manifest lists, not only what comes back by itself
	ClockOffset time.Duration // the host's clock minus ours
}

// Pinned tells whether a file of these bytes, or a symlink with that target, was at name in the job's inputs.
type Pinned func(name string, sum manifest.Sum, target string) bool

// PinnedByTree answers from the snapshot itself.
func PinnedByTree(t *scan.Tree) Pinned {
	return func(name string, sum manifest.Sum, target string) bool {
		e, ok := t.Lookup(name)
		return ok && e.Sum == sum && e.Target == target && e.Files == 0
	}
}

// PinnedByMemory answers from what is remembered of an acknowledged snapshot: its objects, but not where they were. What
// it agrees to replace is therefore kept on the host.
func PinnedByMemory(m *ship.Memory, snapshot manifest.Digest) Pinned {
	root, err := snapshot.Sum()
	return func(_ string, sum manifest.Sum, target string) bool {
		return err == nil && target == "" && m.HoldsIn(root, sum)
	}
}

// Report says what became of a fetch.
type Report struct {
	Job       string
	Files     int   // put in place
	Bytes     int64 // of those
	Same      int   // were there already
	Conflicts []Conflict
	Refused   []manifest.Refusal  // against the rules
	Failed    []Failure           // could not be had; the others were
	Stale     []string            // not written by a job that failed, so left where they are
	Left      []manifest.Artifact // not asked for
}

// Conflict is an output that was put beside a file that the user changed.
type Conflict struct {
	Name   string
	Beside string
}

// Failure is an artifact that could not be fetched.
type Failure struct {
	Name string
	Err  error
}

// Err sums up what went wrong, or nil.
func (r *Report) Err() error {
	if len(r.Failed) == 0 {
		return nil
	}
	first, hint := r.Failed[0], "cyclops fetch "+r.Job+" tries again"
	if api.KindOf(first.Err) == api.NoSpace {
		hint = "free some, then cyclops fetch " + r.Job + " goes on where this stopped"
	}
	if n := len(r.Failed); n > 1 {
		return api.Errorf(api.Undelivered, hint, "unable to fetch %d outputs, %s first: %w", n, first.Name, first.Err)
	}
	return api.Errorf(api.Undelivered, hint, "unable to fetch %s: %w", first.Name, first.Err)
}

// sameClock is the difference between two clocks that says nothing: what it took to ask is in it. A
// time that a tool has set on purpose, as tar does, must come as it is from a host whose clock is right.
const sameClock = 250 * time.Millisecond

// shift is how much later the host's clock is than ours.
func (r *Request) shift() time.Duration {
	if r.ClockOffset.Abs() < sameClock {
		return 0
	}
	return r.ClockOffset
}

// Progress counts what a fetch has done.
type Progress struct {
	Files, TotalFiles int64
	Bytes, TotalBytes int64
}

// Placer puts artifacts in place: first those that the host pushed, then the rest. Close it.
type Placer struct {
	req    Request
	root   *os.Root
	record *record
	wanted []manifest.Artifact // in the manifest's order, symlinks last
	byName map[string]int      // index in wanted
	taken  []atomic.Bool       // those that are settled or tried
	own    string              // ends the names of files that are this fetch's alone
	shared bool                // other jobs, in other processes, bring files to the same place

	mu     sync.Mutex
	report Report

	dirsMu sync.Mutex
	dirs   map[string]*os.Root
	left   []*os.Root          // directories that are not at their paths any more
	memory *semaphore.Weighted // bytes of small files

	files, bytes, totalFiles, totalBytes atomic.Int64

	beforeRename func(name string) // lets a test change what is there at the last moment
}

// New prepares a fetch. Nothing is written yet.
func New(r Request) (*Placer, error) {
	if err := os.MkdirAll(r.Root, 0o777); err != nil {
		return nil, fmt.Errorf("unable to make %s: %w", r.Root, err)
	}
	abs, err := filepath.Abs(r.Root)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return nil, fmt.Errorf("unable to find %s: %w", r.Root, err)
	}
	p := &Placer{req: r, own: strings.ToLower(rand.Text()[:8]), byName: map[string]int{}, dirs: map[string]*os.Root{}, memory: semaphore.NewWeighted(inFlight)}
	p.report.Job = r.Manifest.Job
	p.shared = r.Manifest.Workspace.Mode == manifest.Concurrent
	if err := p.choose(); err != nil {
		return nil, err
	}
	if p.root, err = os.OpenRoot(abs); err != nil {
		return nil, fmt.Errorf("unable to open %s: %w", abs, err)
	}
	if p.record, err = openRecord(r.Dirs, abs); err != nil {
		return nil, errors.Join(err, p.root.Close())
	}
	return p, nil
}

// Fetch puts everything that r asks for in place. The error says why nothing could be done; what went wrong with single
// artifacts is in the report.
func Fetch(ctx context.Context, r Request, src Source) (*Report, error) {
	p, err := New(r)
	if err != nil {
		return nil, err
	}
	err = p.Rest(ctx, src)
	report, closeErr := p.Close()
	return report, errors.Join(err, closeErr)
}

// Progress may be called at any time.
func (p *Placer) Progress() Progress {
	return Progress{p.files.Load(), p.totalFiles.Load(), p.bytes.Load(), p.totalBytes.Load()}
}

// Close ends the fetch and returns what became of it.
func (p *Placer) Close() (*Report, error) {
	err := p.record.close()
	for _, d := range p.dirs {
		err = errors.Join(err, d.Close())
	}
	for _, d := range p.left {
		err = errors.Join(err, d.Close())
	}
	return &p.report, errors.Join(err, p.root.Close())
}

func (p *Placer) note(fn func(*Report)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn(&p.report)
}

// end enters how one artifact went.
func (p *Placer) end(name string, err error) {
	p.files.Add(1)
	if err != nil {
		p.note(func(r *Report) { r.Failed = append(r.Failed, Failure{name, explain(err)}) })
	}
}
