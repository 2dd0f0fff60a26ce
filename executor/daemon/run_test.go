//go:build linux

package daemon_test

import (
	"os"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// inline submits a job with a pack that rides in the request.
func (h *host) inline(j *manifest.Job, s *tree, have *tree, follow *api.Follow) *client {
	h.Helper()
	c := h.stream()
	c.sendPack(s.pack(h, have))
	j.Input.Snapshot = s.root.Digest()
	in := api.Submit{Job: encode(h, j), Inline: true, Follow: follow}
	if have != nil {
		in.Bases = []manifest.Digest{have.root.Digest()}
	}
	c.send(api.FrameSubmit, in)
	return c
}

func TestJobRunsFromSubmitToResult(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	s := newTree(t, map[string]string{"in.txt": "hello\n", "sub/more": "there\n"})
	j := job("cat in.txt; cat sub/more >&2; cat in.txt sub/more > out.txt; exit 3", "w")
	j.Outputs.Fetch = []string{"*.txt"}
	c := h.inline(j, s, nil, everything)
	if err := c.drain(); err != nil {
		t.Fatal(err)
	}
	if c.accepted == nil || c.accepted.Again || c.accepted.Job.ID != j.ID || c.accepted.Job.State != manifest.Running {
		t.Errorf("accepted %+v", c.accepted)
	}
	if out, errs := c.text(api.Stdout), c.text(api.Stderr); out != "hello\n" || errs != "there\n" {
		t.Errorf("stdout %q, stderr %q", out, errs)
	}
	if c.result.State != manifest.Failed || *c.result.ExitCode != 3 {
		t.Errorf("result %+v", c.result)
	}
	if got := string(c.artifacts["out.txt"]); got != "hello\nthere\n" {
		t.Errorf("artifacts %q", c.artifacts)
	}
	last := c.states[len(c.states)-1]
	if last.State != manifest.Failed || *last.ExitCode != 3 || last.Ended == nil || last.LogSize != 12 {
		t.Errorf("last state %+v", last)
	}
	if info := h.show(j.ID); info.State != manifest.Failed || info.Location != h.data.Job(j.ID) || info.Snapshot != s.root.Digest() {
		t.Errorf("shown %+v", info)
	}
}

func TestFirstFrameAfterAcceptedIsState(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	c := h.submit(job("true", "w"), everything)
	if f, _ := c.next(); f.Type != api.FrameState {
		t.Errorf("got frame %d", f.Type)
	}
	c.drain()
}

func TestDetachedSubmitEndsAtOnce(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := job("true", "w")
	c := h.submit(j, nil)
	if f, _ := c.next(); f.Type != api.FrameEnd {
		t.Errorf("got frame %d", f.Type)
	}
	replay := h.follow(api.Follow{Job: j.ID, Log: true})
	if err := replay.drain(); err != nil || replay.result.State != manifest.Succeeded {
		t.Errorf("got %v, %+v", err, replay.result)
	}
}

func TestInputIsForwardedAndSignalsReachTheJob(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := job(`trap 'echo caught; exit 7' INT; cat; echo ready; while :; do sleep 0.01; done`, "w")
	j.Stdin = true
	c := h.stream()
	follow := api.Follow{Log: true, Attach: true, Input: "me"}
	c.send(api.FrameSubmit, api.Submit{Job: encode(t, j), Follow: &follow})
	c.w.Offset(api.FrameStdin, 0, []byte("some "))
	c.w.Offset(api.FrameStdin, 5, []byte("input\n"))
	c.w.Offset(api.FrameStdinEnd, 11, nil)
	c.await("the input was taken", func() bool { return strings.HasSuffix(c.text(0), "ready\n") })
	c.send(api.FrameSignal, api.Signal{Name: "INT"})
	if err := c.drain(); err != nil {
		t.Fatal(err)
	}
	if got := c.text(api.Stdout); got != "some input\nready\ncaught\n" || *c.result.ExitCode != 7 || c.taken != 11 {
		t.Errorf("stdout %q, exit code %v, taken %d", got, c.result.ExitCode, c.taken)
	}
}

func TestReplayBeginsWhereItIsAsked(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := job("echo one; echo two >&2; echo three", "w")
	all := h.run(j).text(0) // the order of the two streams is not known
	lines := strings.SplitAfter(all, "\n")
	for _, c := range []struct {
		follow api.Follow
		want   string
	}{
		{api.Follow{}, all},
		{api.Follow{From: 2}, all[2:]},
		{api.Follow{From: 99}, ""},
		{api.Follow{Tail: 1}, lines[len(lines)-2]},
		{api.Follow{Stream: "stderr"}, "two\n"},
		{api.Follow{Stream: "stdout"}, "one\nthree\n"},
		{api.Follow{Since: 1 << 62}, ""},
		{api.Follow{Once: true}, all},
	} {
		c.follow.Job, c.follow.Log = j.ID, true
		replay := h.follow(c.follow)
		if err := replay.drain(); err != nil || replay.text(0) != c.want || replay.result == nil {
			t.Errorf("%+v: got %q, %v", c.follow, replay.text(0), err)
		}
	}
}

func TestOnceEndsAtThePresentEnd(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := job("echo begun; sleep 100", "w")
	c := h.submit(j, everything)
	c.await("it has begun", func() bool { return c.text(0) == "begun\n" })
	once := h.follow(api.Follow{Job: j.ID, Log: true, Once: true})
	if err := once.drain(); err != nil || once.text(0) != "begun\n" || once.result != nil {
		t.Errorf("got %q, %v, %+v", once.text(0), err, once.result)
	}
	c.send(api.FrameCancel, api.CancelRequest{Reason: "enough"})
	if err := c.drain(); err != nil || c.result.State != manifest.Cancelled {
		t.Errorf("got %v, %+v", err, c.result)
	}
}

func TestLongLogArrivesWholeAndSlowFollowersBlockNobody(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := job("head -c 20000000 /dev/zero", "w")
	c := h.submit(j, everything)
	slow := h.follow(api.Follow{Job: j.ID, Log: true}) // reads nothing yet
	if err := c.drain(); err != nil {
		t.Fatal(err)
	}
	size := func(c *client) (n int) {
		for _, chunk := range c.log {
			n += len(chunk.Data)
		}
		return n
	}
	if size(c) != 20000000 {
		t.Errorf("got %d bytes", size(c))
	}
	if err := slow.drain(); err != nil || size(slow) != 20000000 {
		t.Errorf("the slow one got %d bytes, %v", size(slow), err)
	}
}

func TestToolsAndVariables(t *testing.T) {
	t.Parallel()
	h := newHost(t, "[tools.vivado]\nsetup = 'export TOOL=set-up'\n")
	j := job(`echo "$TOOL $MINE $CYCLOPS_JOB"`, "w")
	j.Tools, j.Env = []string{"vivado"}, []manifest.Variable{{Name: "MINE", Value: "secret"}}
	if got := h.run(j).text(api.Stdout); got != "set-up secret "+j.ID+"\n" {
		t.Errorf("got %q", got)
	}
	var spec manifest.Job
	if err := h.call("GET", "/v1/jobs/"+j.ID+"/job", nil, &spec); err != nil || spec.Env[0].Value != "" || spec.Env[0].Name != "MINE" {
		t.Errorf("the document given out is %+v, %v", spec.Env, err)
	}
	j = job("true", "w")
	j.Tools = []string{"absent"}
	c := h.stream()
	c.send(api.FrameSubmit, api.Submit{Job: encode(t, j)})
	if err := c.drain(); err == nil || err.Kind != api.NotFound {
		t.Errorf("got %v", err)
	}
}

func TestManifestIsServedAsItIsOnDisk(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := job("true", "w")
	h.run(j)
	var m manifest.Manifest
	if err := h.call("GET", "/v1/jobs/"+j.ID+"/manifest", nil, &m); err != nil || m.Job != j.ID {
		t.Errorf("got %v, %+v", err, m)
	}
	if _, err := os.Stat(h.data.JobSpec(j.ID)); err != nil {
		t.Error(err)
	}
}
