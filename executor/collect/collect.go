//go:build linux

// Package collect gathers a job's outputs: it finds what the job wrote, copies it beside the
// manifest and says of each file what it is.
package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// Limits of what one job can list. The rest is counted.
const (
	maxArtifacts = 50_000
	maxRefused   = 1_000
)

// Inputs says what the client has at a path, so that it is not sent back.
type Inputs interface {
	Input(path string) (snapshot.Entry, bool)
	// Untouched tells whether a file with that stat is as the last apply left it.
	Untouched(path string, st *unix.Stat_t) bool
	// Files calls fn with every input that is no directory, in order, until it returns false.
	Files(fn func(path string, e snapshot.Entry) bool)
}

// Request asks for the outputs of a job of which nothing runs any more.
type Request struct {
	Data      layout.Data
	Job       string    // id
	Workspace string    // its name
	Start     time.Time // workspace.Report.Start; zero: the job never ran and has no outputs
	Outputs   manifest.Outputs
	// Back is by how much the clock was set back since Start: files from before the job and files of the job have the same
	// times then. What is in doubt is kept, and is not fresh.
	Back   time.Duration
	Inputs Inputs // nil: none
	// Concurrent: other jobs write into the workspace. Undeclared outputs are then all that was written there since Start
	// and that no other job has open for writing: theirs too, perhaps, but whole.
	Concurrent bool
	// Settled returns the inputs as they are once no apply is under way; called when all outputs are found. For Concurrent.
	Settled func() (Inputs, error)
	// Most bounds the bytes that are copied; 0: any. What goes over it stays in the workspace.
	Most int64
	// Succeeded: a declared output that was up to date already counts. Of a job that failed, nothing stale does.
	Succeeded bool
}

// Result is what a manifest says of the outputs. Logs are not among the artifacts.
type Result struct {
	Artifacts []manifest.Artifact // durable when Collect returns; reports, logs and bitstreams first, then by size
	Missing   []string
	Stale     []manifest.StaleOutput
	Refused   []manifest.Refusal
	Changed   []string // inputs that the job changed or removed and that do not come back
	Bytes     int64    // of the artifacts that are files
	Over      int64    // bytes of outputs that stay in the workspace because of Most
	Problem   string   // for people: what kept an output from being copied, as a full disk; empty: nothing
	Unsynced  error    // why the disk may not have kept the copies, which are therefore not listed; nil: it has
}

// Collect gathers the outputs. An error means that it had to stop; the Result then holds what was done until then.
func Collect(ctx context.Context, req Request) (Result, error) {
	c := &collector{Request: req, same: map[string]bool{}}
	c.rules, c.result.Refused = newRules(req.Outputs)
	if len(c.rules.globs) == 0 && len(c.result.Refused) == 0 {
		c.undeclared = true
	}
	ran := !req.Start.IsZero() // else all that earlier jobs left would look fresh
	if ran {
		if err := c.gather(ctx); err != nil {
			return c.result, fmt.Errorf("unable to collect outputs: %w", err)
		}
	}
	c.judge()
	c.judgeChanged()
	return c.result, nil
}

type collector struct {
	Request
	rules      *rules
	undeclared bool
	watching   bool            // a job runs: nothing is opened up
	root       int             // the open workspace
	changed    []string        // inputs that are not as the client sent them
	same       map[string]bool // outputs that the client has
	theirs     map[inode]bool  // what other jobs have open for writing
	mu         sync.Mutex
	found      []output
	unsure     bool // some are
	left       int  // outputs and refusals beyond the limits
	result     Result
}

// output is a file that is to be an artifact.
type output struct {
	name    string
	stat    unix.Stat_t
	fresh   bool
	fetch   bool
	unsure  bool // it may be of this job or older
	changed bool // an input that the job changed and nobody asked for
	kind    manifest.Kind
	media   string
}

func (c *collector) gather(ctx context.Context) error {
	if err := failpoint.At(failpoint.CollectWalk); err != nil {
		return err
	}
	root, err := unix.Open(c.Data.Workspace(c.Workspace), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		c.result.Problem = "the workspace is gone: the job removed it"
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(root)
	c.root = root
	if err := c.walk(ctx); err != nil {
		return err
	}
	if c.undeclared && c.Concurrent {
		if err := c.settle(); err != nil {
			return err
		}
	}
	if !c.Concurrent && c.Inputs != nil {
		c.findChanged(ctx)
	}
	slices.SortFunc(c.found, func(a, b output) int {
		return cmp.Or(cmp.Compare(rank(a.kind), rank(b.kind)), cmp.Compare(a.stat.Size, b.stat.Size), cmp.Compare(a.name, b.name))
	})
	if more := len(c.found) - maxArtifacts; more > 0 {
		c.found, c.left = c.found[:maxArtifacts], c.left+more
	}
	return c.takeAll(ctx)
}

// judge says what the globs did not match, in the order in which they were written.
func (c *collector) judge() {
	for _, g := range c.rules.globs {
		switch {
		case g.fresh:
		case len(g.stale) > 0:
			slices.Sort(g.stale)
			c.result.Stale = append(c.result.Stale, manifest.StaleOutput{Pattern: g.pattern, Paths: g.stale})
		default:
			c.result.Missing = append(c.result.Missing, g.pattern)
		}
	}
	slices.SortFunc(c.result.Refused, func(a, b manifest.Refusal) int { return cmp.Compare(a.Path, b.Path) })
	if c.unsure {
		c.problem(fmt.Sprintf("the host's clock was set back by %v while it ran: outputs whose times are in doubt do not come back by themselves", c.Back))
	}
	if c.left > 0 {
		c.problem(fmt.Sprintf("%d more outputs are beyond the limit of what a manifest lists", c.left))
	}
}

// problem keeps the first thing that went wrong.
func (c *collector) problem(text string) {
	if c.result.Problem == "" {
		c.result.Problem = text
	}
}

func (c *collector) refuse(name, reason string) {
	if len(c.result.Refused) >= maxRefused {
		c.left++
		return
	}
	c.result.Refused = append(c.result.Refused, manifest.Refusal{Path: printable(name), Reason: reason})
}

// takeAll makes artifacts of what was found and makes them durable.
func (c *collector) takeAll(ctx context.Context) error {
	dir := c.Data.Artifacts(c.Job)
	if err := os.RemoveAll(dir); err != nil { // of a collection that was cut off
		return err
	}
	t := &taker{collector: c, dir: dir, limit: c.Outputs.Limit}
	if t.limit <= 0 {
		t.limit = manifest.DefaultOutputLimit
	}
	var err error
	for i := 0; i < len(c.found) && err == nil; i++ {
		err = t.take(ctx, &c.found[i])
	}
	if serr := t.sync(); serr != nil {
		t.notDurable(serr)
	}
	return err
}
