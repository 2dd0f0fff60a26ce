//go:build linux

// Package workspace brings the directory that a job runs in to the job's snapshot, writing only
// the difference and leaving what jobs made alone.
package workspace

import (
	"context"
	"io"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// Content finds the objects of a snapshot.
type Content interface {
	snapshot.Loader
	// Open returns the bytes of a file and how many there are.
	Open(sum manifest.Sum) (io.Reader, int64, error)
	// Place returns where the bytes of a file are stored: which pack and the offset in it. Files
	// are read in this order, so that a compressed frame is decoded once.
	Place(sum manifest.Sum) (pack int, offset int64)
}

// Request asks for a workspace to hold a snapshot.
type Request struct {
	Data      layout.Data
	Name      string       // of the workspace
	New       manifest.Sum // root of the snapshot; zero: no inputs
	Content   Content
	Displaced string // directory, made when needed, that takes files of jobs that stand where an input belongs
	// Concurrent: other jobs may run in the workspace meanwhile. Files appear by rename, and what
	// those jobs do to inputs is not undone under them.
	Concurrent bool
	Owner      string    // of the job; with Created it orders the snapshots of concurrent jobs
	Created    time.Time // of the job, by its owner's clock
}

// Report says what an apply did.
type Report struct {
	Path         string    // of the workspace, absolute
	Start        time.Time // the start stamp: what has an older ctime was not written by the job that starts now
	Files, Bytes int64     // of the snapshot
	Written      int64     // files and symlinks
	WrittenBytes int64
	Restored     int64    // of Written, inputs that a job had altered or removed
	Removed      int64    // inputs that the snapshot has no more
	Displaced    []string // paths in the workspace whose files moved to Request.Displaced
	Warning      string   // for people; empty: nothing unusual
	Share        *Share   // of a concurrent job, which closes it when nothing of it can write any more
}

// Apply brings the workspace to the snapshot. Whatever happened before, an interrupted apply or a loss
// of power included, the inputs are right when it returns nil.
func Apply(ctx context.Context, req Request) (Report, error) {
	return apply(ctx, req)
}
