//go:build linux

package daemon_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/daemon"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// gate is a job that runs until it is opened.
type gate struct {
	*client
	id, path string
}

func (h *host) gate(j *manifest.Job) *gate {
	h.Helper()
	g := &gate{id: j.ID, path: filepath.Join(h.TempDir(), "gate")}
	j.Steps = []manifest.Step{{Run: "mkfifo " + g.path + " && echo shut && cat " + g.path}}
	g.client = h.submit(j, everything)
	g.await("the gate was shut", func() bool { return strings.Contains(g.text(0), "shut\n") })
	return g
}

func (g *gate) open() {
	g.Helper()
	if err := os.WriteFile(g.path, []byte("open\n"), 0o600); err != nil {
		g.Fatal(err)
	}
}

func TestQueueServesByPriorityWithinItsSlots(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 1\n")
	g := h.gate(job("", "gate"))
	order := filepath.Join(t.TempDir(), "order")
	var waiting []*client
	for i, p := range []manifest.Priority{manifest.Low, manifest.Normal, manifest.Interactive, manifest.Normal} {
		j := job("echo "+strconv.Itoa(i)+" >> "+order, "w"+strconv.Itoa(i))
		j.Priority = p
		c := h.submit(j, everything)
		c.await("a state", func() bool { return len(c.states) > 0 })
		if c.states[0].State != manifest.Queued || c.states[0].Position == 0 || !strings.Contains(c.states[0].WaitsFor, "slot") {
			t.Errorf("job %d: %+v", i, c.states[0])
		}
		waiting = append(waiting, c)
	}
	if info := h.show(waiting[0].accepted.Job.ID); info.Position != 4 {
		t.Errorf("the low job stands at %d", info.Position)
	}
	if err := h.call("POST", "/v1/jobs/"+waiting[0].accepted.Job.ID+"/priority", api.PriorityRequest{Priority: manifest.Interactive}, nil); err != nil {
		t.Fatal(err)
	}
	g.open()
	g.drain()
	for _, c := range waiting {
		if err := c.drain(); err != nil || c.result.State != manifest.Succeeded {
			t.Errorf("%v %+v", err, c.result)
		}
	}
	if got, _ := os.ReadFile(order); string(got) != "0\n2\n1\n3\n" {
		t.Errorf("they ran as %q", got)
	}
}

func TestWorkspaceHoldsOneKeptJob(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 4\n")
	g := h.gate(job("", "w"))
	second := h.submit(job("echo ran", "w"), everything)
	second.await("a state", func() bool { return len(second.states) > 0 })
	if s := second.states[0]; s.State != manifest.Queued || s.WaitsFor != "job "+g.id+" in workspace w" {
		t.Errorf("second is %+v", s)
	}
	beside := job("echo beside", "w")
	beside.Workspace.Mode = manifest.Isolated
	if c := h.run(beside); c.text(0) != "beside\n" {
		t.Errorf("the isolated one said %q", c.text(0))
	}
	g.open()
	g.drain()
	if second.drain(); second.text(0) != "ran\n" {
		t.Errorf("second said %q", second.text(0))
	}
}

func TestCancelledInTheQueueLeavesAManifestWithoutSteps(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 1\n")
	g := h.gate(job("", "gate"))
	j, after := job("true", "w"), job("true", "w")
	after.After = []string{j.ID}
	c := h.submit(j, everything)
	dependant := h.submit(after, everything)
	var info api.JobInfo
	if err := h.call("POST", "/v1/jobs/"+j.ID+"/cancel", api.CancelRequest{Reason: "not wanted"}, &info); err != nil || info.State != manifest.Cancelled {
		t.Errorf("got %v, %+v", err, info)
	}
	if err := c.drain(); err != nil || c.result.State != manifest.Cancelled || c.result.Started != nil || c.result.Reason != "not wanted" {
		t.Errorf("got %v, %+v", err, c.result)
	}
	for _, s := range c.result.Steps {
		if s.Started != nil {
			t.Errorf("step %+v began", s)
		}
	}
	if err := dependant.drain(); err != nil || dependant.result.State != manifest.Cancelled || !strings.Contains(dependant.result.Reason, j.ID) {
		t.Errorf("the dependant: %v, %+v", err, dependant.result)
	}
	g.open()
	g.drain()
}

func TestSignalTakesAWaitingJobOutOfTheQueue(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 1\n")
	g := h.gate(job("", "gate"))
	c := h.submit(job("true", "w"), &api.Follow{Attach: true})
	c.send(api.FrameSignal, api.Signal{Name: "INT"})
	if err := c.drain(); err != nil || c.result.State != manifest.Cancelled || !strings.Contains(c.result.Reason, "SIGINT") {
		t.Errorf("got %v, %+v", err, c.result)
	}
	g.open()
	g.drain()
}

func TestAfterWaitsForSuccessAndRecordsTheUpstream(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	up := job("", "up")
	g := h.gate(up)
	down := job("true", "down")
	down.After = []string{up.ID}
	c := h.submit(down, everything)
	c.await("a state", func() bool { return len(c.states) > 0 })
	if c.states[0].WaitsFor != "job "+up.ID {
		t.Errorf("it waits for %q", c.states[0].WaitsFor)
	}
	g.open()
	g.drain()
	if err := c.drain(); err != nil || len(c.result.Upstream) != 1 || c.result.Upstream[0].Job != up.ID || c.result.Upstream[0].Digest == "" {
		t.Errorf("got %v, %+v", err, c.result.Upstream)
	}
	bad := job("false", "up")
	h.run(bad)
	for id, kind := range map[string]api.Kind{bad.ID: api.Conflict, manifest.NewID(): api.NotFound, "x": api.Invalid} {
		j := job("true", "w")
		j.After = []string{id}
		s := h.stream()
		s.send(api.FrameSubmit, api.Submit{Job: encode(t, j)})
		if err := s.drain(); err == nil || err.Kind != kind {
			t.Errorf("after %s: got %v, want kind %d", id, err, kind)
		}
	}
}

func TestSameIDIsSameJobOrConflict(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := job("echo once", "w")
	h.run(j)
	again := h.submit(j, everything)
	if again.drain(); !again.accepted.Again || again.text(0) != "once\n" || again.result == nil {
		t.Errorf("again: %+v", again.accepted)
	}
	other := *j
	other.Name = "other"
	c := h.stream()
	c.send(api.FrameSubmit, api.Submit{Job: encode(t, other)})
	if err := c.drain(); err == nil || err.Kind != api.Conflict {
		t.Errorf("got %v", err)
	}
	var removed api.Removed
	if err := h.call("DELETE", "/v1/jobs/"+j.ID, nil, &removed); err != nil || removed.FreedBytes == 0 {
		t.Errorf("got %v, %+v", err, removed)
	}
	c = h.stream()
	c.send(api.FrameSubmit, api.Submit{Job: encode(t, j)})
	if err := c.drain(); err == nil || err.Kind != api.Conflict || !strings.Contains(err.Message, "removed") {
		t.Errorf("got %v", err)
	}
	if err := h.call("GET", "/v1/jobs/"+j.ID, nil, nil); err == nil || err.Kind != api.NotFound {
		t.Errorf("got %v", err)
	}
}

func TestNeedsBeyondTheHostAreRefused(t *testing.T) {
	t.Parallel()
	h := newHost(t, "[resources]\nboard = 1\n")
	j := job("true", "w")
	j.Needs = map[string]int{"board": 1}
	if c := h.run(j); c.result.Resources.Leased["board"][0] != "1" {
		t.Errorf("leased %+v", c.result.Resources)
	}
	for _, needs := range []map[string]int{{"board": 2}, {"laser": 1}, {"board": -1}} {
		j := job("true", "w")
		j.Needs = needs
		c := h.stream()
		c.send(api.FrameSubmit, api.Submit{Job: encode(t, j)})
		if err := c.drain(); err == nil || err.Kind != api.Refused {
			t.Errorf("%v: got %v", needs, err)
		}
	}
}

func TestDrainingOutlivesTheDaemon(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	var hello api.Hello
	if err := h.call("POST", api.PathDrain, api.DrainRequest{Draining: true}, &hello); err != nil || !hello.Status.Draining {
		t.Errorf("got %v, %+v", err, hello.Status)
	}
	h.halt()
	h.start()
	c := h.stream()
	c.send(api.FrameSubmit, api.Submit{Job: encode(t, job("true", "w"))})
	if err := c.drain(); err == nil || err.Kind != api.Draining {
		t.Errorf("got %v", err)
	}
	h.call("POST", api.PathDrain, api.DrainRequest{}, nil)
	h.run(job("true", "w"))
}

// What runs goes on under a drain, also when the daemon is replaced; what waits is there, in its order,
// when the host starts jobs again.
func TestAQueueOutlivesDrainAndRestart(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 1\n")
	order := filepath.Join(t.TempDir(), "order")
	g := h.gate(job("", "gate"))
	low, normal := job("echo low >> "+order, "w1"), job("echo normal >> "+order, "w2")
	low.Priority = manifest.Low
	after := job("echo after >> "+order, "w3")
	after.After = []string{low.ID}
	for _, j := range []*manifest.Job{low, normal, after} {
		if err := h.submit(j, nil).drain(); err != nil {
			t.Fatal(err)
		}
	}
	h.call("POST", api.PathDrain, api.DrainRequest{Draining: true}, nil)
	for range 2 {
		h.halt()
		h.start()
		if info := h.show(g.id); info.State != manifest.Running {
			t.Errorf("what ran is %+v", info)
		}
	}
	c := h.stream()
	c.send(api.FrameSubmit, api.Submit{Job: encode(t, job("true", "w"))})
	if err := c.drain(); err == nil || err.Kind != api.Draining || !strings.Contains(err.Message, "is draining and takes no new jobs") || !strings.Contains(err.Hint, "cyclops resume") {
		t.Errorf("a submit is told %+v", err)
	}
	g.open()
	if f := h.follow(api.Follow{Job: g.id}); f.drain() != nil || f.result.State != manifest.Succeeded {
		t.Errorf("what ran ended as %+v", f.result)
	}
	for _, j := range []*manifest.Job{low, normal} {
		if info := h.show(j.ID); info.State != manifest.Queued || info.WaitsFor != "the host is draining" {
			t.Errorf("what waits is %+v", info)
		}
	}
	h.halt()
	h.start()
	h.call("POST", api.PathDrain, api.DrainRequest{}, nil)
	if f := h.follow(api.Follow{Job: after.ID}); f.drain() != nil || f.result.State != manifest.Succeeded {
		t.Errorf("the last ended as %+v", f.result)
	}
	if got, _ := os.ReadFile(order); string(got) != "normal\nlow\nafter\n" {
		t.Errorf("they ran as %q", got)
	}
}

func TestRetryRunsTheSameInputsAgain(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	s := newTree(t, map[string]string{"in": "pinned"})
	j := job("cat in", "w")
	if err := h.inline(j, s, nil, everything).drain(); err != nil {
		t.Fatal(err)
	}
	id := manifest.NewID()
	var info api.JobInfo
	if err := h.call("POST", "/v1/jobs/"+j.ID+"/retry", api.RetryRequest{ID: id, Created: time.Now()}, &info); err != nil || info.ID != id {
		t.Fatalf("got %v, %+v", err, info)
	}
	c := h.follow(api.Follow{Job: id, Log: true})
	if err := c.drain(); err != nil || c.text(0) != "pinned" {
		t.Errorf("got %v, %q", err, c.text(0))
	}
}

func TestListIsPaged(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	var ids []string
	for range 5 {
		j := job("true", "w")
		h.run(j)
		ids = append([]string{j.ID}, ids...)
	}
	var got []string
	query := "?limit=2"
	for {
		var page api.JobPage
		if err := h.call("GET", api.PathJobs+query, nil, &page); err != nil {
			t.Fatal(err)
		}
		for _, j := range page.Jobs {
			got = append(got, j.ID)
		}
		if page.Cursor == "" {
			break
		}
		query = "?limit=2&cursor=" + page.Cursor
	}
	if strings.Join(got, " ") != strings.Join(ids, " ") {
		t.Errorf("got %v, want %v", got, ids)
	}
	for _, bad := range []string{"?state=x", "?limit=0", "?cursor=x", "?prefix=%2F"} {
		if err := h.call("GET", api.PathJobs+bad, nil, nil); err == nil || err.Kind != api.Invalid {
			t.Errorf("%s: got %v", bad, err)
		}
	}
}

func TestOtherVersionsAreRefusedWithBothNumbers(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	for _, version := range []string{"2", "0", "", "x"} {
		err := h.callAs(version, http.MethodGet, api.PathHello, nil, nil)
		if err == nil || err.Kind != api.Incompatible || !strings.Contains(err.Message, "1") || !strings.Contains(err.Message, version) {
			t.Errorf("version %q: got %v", version, err)
		}
	}
}

func TestHelloSaysWhoAnswers(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 3\n[tools.a]\nsetup = ''\n")
	var hello api.Hello
	if err := h.call("GET", api.PathHello, nil, &hello); err != nil {
		t.Fatal(err)
	}
	if hello.API != 1 || hello.Data != string(h.data) || hello.Status.Slots != 3 || hello.Status.Tools[0] != "a" || hello.Status.DiskFree == 0 {
		t.Errorf("got %+v", hello)
	}
	var report api.EnvironmentReport
	if err := h.call("POST", api.PathEnvironment, nil, &report); err != nil || report.Path == "" || report.Warning != "" {
		t.Errorf("got %v, %+v", err, report)
	}
	if err := h.call("GET", "/v1/nothing", nil, nil); err == nil || err.Kind != api.NotFound {
		t.Errorf("got %v", err)
	}
}

func TestLostSocketIsMadeAnew(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	var before, after api.Hello
	h.call("GET", api.PathHello, nil, &before)
	if err := os.Remove(h.data.Socket()); err != nil {
		t.Fatal(err)
	}
	// The start lock is free and no daemon answers, so this waits for the lock of the data.
	for {
		if _, err := os.Lstat(h.data.Socket()); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := daemon.Ensure(t.Context(), h.data, self(t)); err != nil {
		t.Fatal(err)
	}
	h.call("GET", api.PathHello, nil, &after)
	if before.PID != after.PID || after.PID == 0 {
		t.Errorf("process %d answers instead of %d", after.PID, before.PID)
	}
}
