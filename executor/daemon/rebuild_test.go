//go:build linux

package daemon_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// loseDatabase takes the database away.
func (h *host) loseDatabase() {
	h.Helper()
	removeJournal(h.data)
	if err := os.Remove(h.data.Database()); err != nil {
		h.Fatal(err)
	}
}

// queuedWith is queued for a job with inputs.
func (h *host) queuedWith(j *manifest.Job, s *tree) {
	h.Helper()
	g := h.gate(job("", "w"))
	c := h.inline(j, s, nil, nil)
	if err := c.drain(); err != nil {
		h.Fatal(err)
	}
	h.call("POST", api.PathDrain, api.DrainRequest{Draining: true}, nil)
	g.open()
	if err := g.drain(); err != nil {
		h.Fatal(err)
	}
	h.halt()
}

// The pack of another project was damaged: all packs were deleted when the index was made again, and
// the job that waited was cancelled.
func TestADamagedPackCostsNoOtherJobItsInputsInARebuild(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 1\n")
	h.inline(job("cat in", "other"), newTree(t, map[string]string{"in": "of another project"}), nil, everything).drain()
	packs, err := filepath.Glob(filepath.Join(h.data.Packs(), "*.pack"))
	if err != nil || len(packs) != 1 {
		t.Fatal(packs, err)
	}
	j := job("cat in", "w")
	h.queuedWith(j, newTree(t, map[string]string{"in": "what was sent"}))
	h.loseDatabase()
	sound, err := os.ReadFile(packs[0])
	if err != nil {
		t.Fatal(err)
	}
	spoil(t, packs[0], sound, func(b []byte) []byte { b[len(b)-50] ^= 1; return b })
	h.start()
	c := h.follow(api.Follow{Job: j.ID, Log: true})
	if err := c.drain(); err != nil || c.result.State != manifest.Succeeded || c.text(0) != "what was sent" {
		t.Errorf("got %v, %+v, %q", err, c.result, c.text(0))
	}
	if _, err := os.Stat(filepath.Join(h.data.Damaged(), filepath.Base(packs[0]))); err != nil {
		t.Errorf("the damaged pack is not in damaged/: %v", err)
	}
}

// What nothing names after a rebuild may be what a job needs that could not be read.
func TestAPackThatARebuildDoesNotNameIsKept(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 1\n")
	j := job("cat in", "w")
	h.queuedWith(j, newTree(t, map[string]string{"in": "what was sent"}))
	h.loseDatabase()
	packs, err := filepath.Glob(filepath.Join(h.data.Packs(), "*.pack"))
	if err != nil || len(packs) != 1 {
		t.Fatal(packs, err)
	}
	if err := os.WriteFile(h.data.JobSpec(j.ID), []byte("no document"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.halt()
	if _, err := os.Stat(filepath.Join(h.data.Damaged(), filepath.Base(packs[0]))); err != nil {
		t.Errorf("the pack is not in damaged/: %v", err)
	}
	h.start()
}
