//go:build linux

package daemon_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// beside is a job in the workspace of another.
func beside(base *manifest.Job, line string) *manifest.Job {
	j := job(line, base.Workspace.Name)
	j.Workspace, j.Beside, j.Name = base.Workspace, base.ID, "shell"
	return j
}

// refusedSubmit submits what is to be refused.
func (h *host) refusedSubmit(j *manifest.Job) *api.Error {
	h.Helper()
	c := h.stream()
	c.send(api.FrameSubmit, api.Submit{Job: encode(h, j)})
	e := c.drain()
	if e == nil {
		h.Fatalf("job %s was accepted", j.ID)
	}
	return e
}

func TestShellRunsWhereItsJobRunsWhateverIsBusy(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 1\n[tools.vendor]\nsetup = \"export VENDOR=1\"\n")
	base := job("", "w")
	base.Dir, base.Tools = "sub", []string{"vendor"}
	base.Env = []manifest.Variable{{Name: "SECRET", Value: "s3cret"}, {Name: "MODE", Value: "base"}}
	g := h.gate(base)
	h.call("POST", api.PathDrain, api.DrainRequest{Draining: true}, nil)
	j := beside(base, `echo $SECRET $MODE $VENDOR; pwd; cat; echo made > by-shell`)
	j.Stdin, j.Env = true, []manifest.Variable{{Name: "MODE", Value: "shell"}}
	c := h.submit(j, &api.Follow{Log: true, Attach: true, Input: "me", Artifacts: 1 << 20})
	c.w.Offset(api.FrameStdin, 0, []byte("typed\n"))
	c.w.Offset(api.FrameStdinEnd, 6, nil)
	if err := c.drain(); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(h.data.Workspace("w"), "sub")
	if got, want := c.text(0), "s3cret shell 1\n"+dir+"\ntyped\n"; got != want {
		t.Errorf("it said %q, want %q", got, want)
	}
	m := c.result
	if m.State != manifest.Succeeded || m.Beside != base.ID || m.Workspace.Path != h.data.Workspace("w") || m.Input.Pinned {
		t.Errorf("recorded %+v", m)
	}
	for _, a := range m.Artifacts {
		if !a.OwnLog() {
			t.Errorf("it took %s for an output of its own", a.Name)
		}
	}
	if info := h.show(j.ID); info.Beside != base.ID || info.Workspace != "w" || info.Name != "shell" {
		t.Errorf("shown %+v", info)
	}
	g.open()
	g.drain()
	if g.result.State != manifest.Succeeded {
		t.Errorf("the job: %+v", g.result)
	}
}

func TestShellInAnIsolatedWorkspaceWhileItIsRetained(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	base := job("echo out > made", "any")
	base.Workspace.Mode = manifest.Isolated
	h.run(base)
	c := h.run(beside(base, "cat made; pwd"))
	if want := "out\n" + h.data.Workspace(base.ID) + "\n"; c.text(0) != want {
		t.Errorf("it said %q, want %q", c.text(0), want)
	}
	// Its record goes, the workspace is the other job's.
	if err := h.call("DELETE", "/v1/jobs/"+c.result.Job, nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(h.data.Workspace(base.ID), "made")); err != nil {
		t.Error(err)
	}
	if err := h.call("DELETE", "/v1/jobs/"+base.ID, nil, nil); err != nil {
		t.Fatal(err)
	}
	if e := h.refusedSubmit(beside(base, "true")); e.Kind != api.NotFound || !strings.Contains(e.Message, base.ID) {
		t.Errorf("of a removed job: %v", e)
	}
}

func TestWorkspaceIsNotRemovedBelowAShell(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	for _, mode := range []manifest.WorkspaceMode{manifest.Isolated, manifest.Kept} {
		base := job("echo out > made", "w-"+string(mode))
		base.Workspace.Mode = mode
		h.run(base)
		shell := beside(base, "")
		g := h.gate(shell)
		if e := h.call("DELETE", "/v1/jobs/"+base.ID, nil, nil); e == nil || e.Kind != api.Conflict || !strings.Contains(e.Message+e.Hint, shell.ID) {
			t.Errorf("%s: removed below its shell: %v", mode, e)
		}
		g.open()
		g.drain()
		if e := h.call("DELETE", "/v1/jobs/"+base.ID, nil, nil); e != nil {
			t.Errorf("%s: %v", mode, e)
		}
	}
}

func TestShellIsRefusedWhereThereIsNothingToEnter(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 1\n")
	gone := job("true", "w")
	gone.Workspace.Mode = manifest.Isolated
	h.run(gone)
	if err := os.RemoveAll(h.data.Workspace(gone.ID)); err != nil {
		t.Fatal(err)
	}
	first := job("true", "v")
	h.run(first)
	shell := beside(first, "true")
	h.run(shell)
	elsewhere := beside(first, "true")
	elsewhere.Workspace.Name = "other"
	needs := beside(first, "true")
	needs.Needs = map[string]int{"cores": 1}
	unknown := beside(first, "true")
	unknown.Beside = manifest.NewID()
	for _, c := range []struct {
		j    *manifest.Job
		kind api.Kind
		says string
	}{
		{beside(gone, "true"), api.NotFound, "the workspace of job " + gone.ID + " is gone"},
		{beside(shell, "true"), api.Conflict, "ran beside job " + first.ID},
		{elsewhere, api.Invalid, "not in the kept workspace other"},
		{needs, api.Invalid, "no needs"},
		{unknown, api.NotFound, "has no job " + unknown.Beside},
	} {
		if e := h.refusedSubmit(c.j); e.Kind != c.kind || !strings.Contains(e.Message, c.says) {
			t.Errorf("got %v, want %q", e, c.says)
		}
	}
	retry := api.RetryRequest{ID: manifest.NewID(), Created: first.Created}
	if e := h.call("POST", "/v1/jobs/"+shell.ID+"/retry", retry, nil); e == nil || e.Kind != api.Conflict || !strings.Contains(e.Hint, "cyclops shell "+first.ID) {
		t.Errorf("retried: %v", e)
	}
}

func TestShellOfAQueuedJobWaitsForItsWorkspace(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 1\n")
	g := h.gate(job("", "w"))
	queued := job("true", "later")
	q := h.submit(queued, everything)
	if e := h.refusedSubmit(beside(queued, "true")); e.Kind != api.Conflict || !strings.Contains(e.Message, "is queued") {
		t.Errorf("got %v", e)
	}
	again := job("true", "w") // its workspace is there already
	a := h.submit(again, everything)
	h.run(beside(again, "true"))
	g.open()
	g.drain()
	q.drain()
	a.drain()
}

func TestShellOutlivesItsDaemonAndBlocksNobody(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 1\n")
	base := job("true", "w")
	h.run(base)
	shell := beside(base, "")
	g := h.gate(shell)
	h.halt()
	h.start()
	if info := h.show(shell.ID); info.State != manifest.Running || info.Beside != base.ID {
		t.Errorf("shown %+v", info)
	}
	h.run(job("true", "w"))
	if e := h.call("DELETE", "/v1/jobs/"+base.ID, nil, nil); e == nil || e.Kind != api.Conflict {
		t.Errorf("removed below its shell: %v", e)
	}
	g.open()
	c := h.follow(api.Follow{Job: shell.ID, Log: true})
	if err := c.drain(); err != nil || c.result.State != manifest.Succeeded || c.result.Beside != base.ID {
		t.Errorf("got %v, %+v", err, c.result)
	}
}

// The values of variables reach the shell from the host's own copy and no other document.
func TestShellsDocumentHoldsNoValues(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	base := job("true", "w")
	base.Env = []manifest.Variable{{Name: "SECRET", Value: "s3cret"}}
	h.run(base)
	c := h.run(beside(base, "echo $SECRET"))
	if c.text(0) != "s3cret\n" {
		t.Errorf("it said %q", c.text(0))
	}
	record, err := json.Marshal(c.result)
	if err != nil || strings.Contains(string(record), "s3cret") {
		t.Errorf("the manifest is %s, %v", record, err)
	}
	spec, err := os.ReadFile(h.data.JobSpec(c.result.Job))
	if err != nil || strings.Contains(string(spec), "s3cret") {
		t.Errorf("the document is %s, %v", spec, err)
	}
}
