//go:build linux

package daemon_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/samepath"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// A host that loses power leaves the directories of its jobs; those of jobs that still run are no leftovers.
func TestStartingRemovesWhatEndedJobsLeft(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	g := h.gate(job("", "w"))
	h.halt()
	gone := h.data.JobTmp(manifest.NewID())
	if err := os.MkdirAll(filepath.Join(gone, "closed", "f"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(gone, "closed"), 0); err != nil {
		t.Fatal(err)
	}
	socket := h.data.Control(manifest.NewID())
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	place, err := samepath.New(samepath.Request{Root: filepath.Join(t.TempDir(), "alice", "proj"), Workspace: t.TempDir(), Records: h.data.Mounts()})
	if err != nil {
		t.Fatal(err)
	}
	h.start()
	h.halt() // which waits for all that starting began
	if _, err := os.Lstat(gone); !os.IsNotExist(err) {
		t.Errorf("what an ended job left stays: %v", err)
	}
	if _, err := os.Lstat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket of a supervisor that was killed stays: %v", err)
	}
	if _, err := os.Stat(h.data.Control(g.id)); err != nil {
		t.Errorf("a running job lost its socket: %v", err)
	}
	if _, err := os.Stat(h.data.JobTmp(g.id)); err != nil {
		t.Errorf("a running job lost its directory: %v", err)
	}
	if _, err := os.Stat(place.Root); err != nil {
		t.Errorf("a running job lost its mount point: %v", err)
	}
	if err := place.Close(); err != nil {
		t.Error(err)
	}
	h.start()
	g.open()
	if c := h.follow(api.Follow{Job: g.id}); c.drain() != nil || c.result.State != manifest.Succeeded {
		t.Errorf("got %+v", c.result)
	}
}

func TestTheReportSaysWhetherPathsCanBeTheSame(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	var report api.EnvironmentReport
	if err := h.call("POST", api.PathEnvironment, nil, &report); err != nil {
		t.Fatal(err)
	}
	if why := samepath.Probe(t.Context(), self(t), t.TempDir()); report.SamePathOff != why {
		t.Errorf("it says %q, a probe %q", report.SamePathOff, why)
	}
}
