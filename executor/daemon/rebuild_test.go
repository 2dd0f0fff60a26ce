//go:build linux

package daemon_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
	if _, err := os.Stat(filepath.Join(h.data.Damaged(), filepath.Base(packs[0]))); err != nil {
		t.Errorf("the pack is not in damaged/: %v", err)
	}
	if c := h.follow(api.Follow{Job: j.ID}); h.ended(c) != manifest.Cancelled {
		t.Errorf("a job of which nobody knows what it was ran: %+v", c.states)
	}
}

// ended follows a job to its end.
func (h *host) ended(c *client) manifest.State {
	h.Helper()
	for {
		f := c.read()
		switch f.Type {
		case api.FrameState:
			var info api.JobInfo
			c.decode(f, &info)
			c.states = append(c.states, info)
		case api.FrameEnd:
			return c.state()
		case api.FrameError:
			h.Fatalf("%s", f.Payload)
		}
	}
}

// A repair said of a job whose record was damaged too that it had indexed it, and had not.
func TestARepairIndexesAJobOfWhichOneDocumentIsDamaged(t *testing.T) {
	t.Parallel()
	k := keepJobs(t)
	d := k.copy(t)
	removeJournal(d)
	future := manifest.NewID()
	err := errors.Join(
		os.Remove(d.Database()),
		os.Remove(d.JobSpec(k.jobs[0])),
		os.WriteFile(d.Manifest(k.jobs[1]), []byte("no record"), 0o600),
		os.WriteFile(d.JobSpec(k.jobs[2]), []byte("no document"), 0o600),
		os.Mkdir(d.Job(future), 0o700),
		os.WriteFile(d.Manifest(future), []byte(`{"schemaVersion": 99, "mediaType": "`+manifest.MediaType+`"}`), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{TB: t, data: d}
	t.Cleanup(func() { stop(t, d) })
	r, code := checkIt(t, d, "--repair")
	if code != 0 || len(r.Findings) != 4 {
		t.Errorf("repair: exit code %d, %+v", code, r)
	}
	for _, f := range r.Findings {
		if strings.Contains(f.Name, future) != (f.Kind == "version") || f.Done == "" {
			t.Errorf("repair says %+v", f)
		}
	}
	if r, code := checkIt(t, d); code == 0 || len(r.Findings) != 1 || r.Findings[0].Kind != "version" || r.Jobs != 3 {
		t.Errorf("afterwards: exit code %d, %+v", code, r)
	}
	for i, id := range k.jobs {
		c := h.follow(api.Follow{Job: id, Log: true})
		if err := c.drain(); err != nil || c.result == nil || c.text(1) != fmt.Sprintf("out %d\n", i) {
			t.Fatalf("job %d: %v, %q", i, err, c.text(1))
		}
		if m := c.result; i == 1 && (m.State != manifest.Lost || !strings.Contains(m.Reason, "damaged") || len(m.Artifacts) != 4) {
			t.Errorf("the job without a record: %+v", m)
		} else if i != 1 && *m.ExitCode != i {
			t.Errorf("job %d ended with %d", i, *m.ExitCode)
		}
	}
	for _, name := range []string{k.jobs[1] + "/manifest.json", k.jobs[2] + "/job.json"} {
		if _, err := os.Stat(filepath.Join(d.Damaged(), "jobs", name)); err != nil {
			t.Errorf("what was damaged is not in damaged/: %v", err)
		}
	}
	for _, id := range []string{k.jobs[0], k.jobs[2]} {
		if err := h.call("POST", "/v1/jobs/"+id+"/retry", api.RetryRequest{ID: manifest.NewID()}, nil); err == nil {
			t.Error("a job was tried again of which nobody knows what it was")
		}
	}
}
