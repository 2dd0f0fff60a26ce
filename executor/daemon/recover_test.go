//go:build linux

package daemon_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/boot"
	"github.com/cyclops-fpga/cyclops/executor/daemon"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// began has the store say of a waiting job that it was started, as it does after a daemon that was
// killed right behind that.
func (h *host) began(id, in string) {
	h.Helper()
	s, err := store.Open(context.Background(), h.data.Database())
	if err != nil {
		h.Fatal(err)
	}
	defer s.Close()
	row, err := s.Get(context.Background(), id)
	if err != nil {
		h.Fatal(err)
	}
	row.Started, row.About.Boot = time.Now(), in
	if err := s.Start(context.Background(), row); err != nil {
		h.Fatal(err)
	}
}

// queued submits jobs to a host that drains, so that they wait, and ends its daemon.
func (h *host) queued(jobs ...*manifest.Job) {
	h.Helper()
	g := h.gate(job("", "w"))
	for _, j := range jobs {
		if err := h.submit(j, nil).drain(); err != nil {
			h.Fatal(err)
		}
	}
	h.call("POST", api.PathDrain, api.DrainRequest{Draining: true}, nil)
	g.open()
	if err := g.drain(); err != nil {
		h.Fatal(err)
	}
	h.halt()
}

func (h *host) resume() {
	h.Helper()
	if err := h.call("POST", api.PathDrain, api.DrainRequest{}, nil); err != nil {
		h.Fatal(err)
	}
}

// A daemon that was killed between recording a start and starting must not cost the job.
func TestAStartThatNothingCameOfIsTakenBack(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 1\n")
	ran := filepath.Join(t.TempDir(), "ran")
	j := job("echo >> "+ran, "w")
	h.queued(j)
	for range 2 { // a second daemon may be killed at the same place
		h.began(j.ID, boot.ID())
		h.start()
		if info := h.show(j.ID); info.State != manifest.Queued || info.Started != nil {
			t.Errorf("it is %s, started %v", info.State, info.Started)
		}
		h.halt()
	}
	h.start()
	h.resume()
	c := h.follow(api.Follow{Job: j.ID})
	if err := c.drain(); err != nil || c.result.State != manifest.Succeeded {
		t.Errorf("got %v, %+v", err, c.result)
	}
	if data, err := os.ReadFile(ran); string(data) != "\n" {
		t.Errorf("it ran %d times, %v", len(data), err)
	}
}

// What was started before the machine was may have run: nothing that could tell was synced.
func TestAStartBeforeTheMachineWasRestartedIsLost(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 1\n")
	ran := filepath.Join(t.TempDir(), "ran")
	j, after := job("echo >> "+ran, "w"), job("echo >> "+ran, "v")
	after.After = []string{j.ID}
	h.queued(j, after)
	h.began(j.ID, "another boot")
	h.start()
	h.resume()
	c := h.follow(api.Follow{Job: j.ID})
	if err := c.drain(); err != nil || c.result.State != manifest.Lost || !strings.Contains(c.result.Reason, "the host was restarted") {
		t.Errorf("got %v, %+v", err, c.result)
	}
	d := h.follow(api.Follow{Job: after.ID})
	if err := d.drain(); err != nil || d.result.State != manifest.Cancelled {
		t.Errorf("the one behind it: %v, %+v", err, d.result)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("it ran")
	}
}

// A cancel that was told before it was durable was undone by a daemon that was killed: the job ran.
func TestACancelIsToldOnlyOnceItIsRecorded(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 1\n")
	g := h.gate(job("", "w"))
	waiting := job("echo ran", "other")
	h.submit(waiting, nil)
	dir := h.data.Job(waiting.ID)
	if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err) // the record does not fit in there
	}
	told := make(chan *api.Error, 1)
	go func() {
		told <- h.call("POST", "/v1/jobs/"+waiting.ID+"/cancel", api.CancelRequest{}, nil)
	}()
	c := h.follow(api.Follow{Job: waiting.ID})
	c.await("it left the queue", func() bool { return len(c.states) > 0 && c.states[len(c.states)-1].Position == 0 })
	if state := c.state(); state != manifest.Queued {
		t.Errorf("it is called %s before that is durable", state)
	}
	select {
	case err := <-told:
		t.Errorf("it was told before it was recorded: %v", err)
	default:
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := <-told; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(h.data.Manifest(waiting.ID)); err != nil {
		t.Errorf("it is not recorded: %v", err)
	}
	if err := c.drain(); err != nil || c.result.State != manifest.Cancelled {
		t.Errorf("got %v, %+v", err, c.result)
	}
	g.open()
	if err := g.drain(); err != nil {
		t.Error(err)
	}
}

// A daemon that could not make its socket, as on a disk without inodes, panicked instead of saying why.
func TestADaemonThatCannotListenSaysWhy(t *testing.T) {
	t.Parallel()
	data := layout.Data(t.TempDir())
	if err := os.MkdirAll(filepath.Join(data.Socket()+".new", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	d, err := daemon.Open(t.Context(), data, self(t))
	if err == nil || !strings.Contains(err.Error(), "unable to listen at ") {
		t.Errorf("got %v, %v", d, err)
	}
}

// A start that the database lost, as a damaged page of it does, was made again.
func TestAStartThatOnlyTheClaimTellsOfIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 1\n")
	ran := filepath.Join(t.TempDir(), "ran")
	j := job("echo >> "+ran, "w")
	h.queued(j)
	if err := os.Symlink("4194304 1 "+boot.ID(), h.data.Claim(j.ID, 1)); err != nil { // a pid that no process has
		t.Fatal(err)
	}
	h.start()
	h.resume()
	c := h.follow(api.Follow{Job: j.ID})
	if err := c.drain(); err != nil || c.result.State != manifest.Lost {
		t.Errorf("got %v, %+v", err, c.result)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("it ran")
	}
}

// A daemon that was killed between the commit that accepts a job and the naming of its document: only the
// name tells without the database that it was accepted.
func TestTheNextDaemonNamesTheDocumentOfAnAcceptedJob(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 1\n")
	j := job("echo on", "w")
	h.queued(j)
	if err := os.Rename(h.data.JobSpec(j.ID), h.data.JobSpecPart(j.ID)); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.halt()
	if _, err := os.Lstat(h.data.JobSpecPart(j.ID)); !os.IsNotExist(err) {
		t.Errorf("it is still called unaccepted: %v", err)
	}
	h.loseDatabase()
	h.start()
	if c := h.follow(api.Follow{Job: j.ID, Log: true}); c.drain() != nil || c.text(0) != "on\n" {
		t.Errorf("got %q, %+v", c.text(0), c.result)
	}
}

// What a submit left that was never accepted is no job, also where nothing else tells what is one.
func TestADocumentThatWasNeverAcceptedIsNoJob(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := job("true", "w")
	h.halt()
	err := errors.Join(os.Mkdir(h.data.Job(j.ID), 0o700), os.WriteFile(h.data.JobSpecPart(j.ID), encode(t, j), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	if r, code := checkIt(t, h.data); code != 0 {
		t.Errorf("check: exit code %d, %+v", code, r)
	}
	h.loseDatabase()
	h.start()
	if err := h.call("GET", "/v1/jobs/"+j.ID, nil, nil); err == nil || err.Kind != api.NotFound {
		t.Errorf("it is a job: %v", err)
	}
	if c := h.submit(j, everything); c.drain() != nil || c.result.State != manifest.Succeeded {
		t.Errorf("sent again: %+v", c.result)
	}
}
