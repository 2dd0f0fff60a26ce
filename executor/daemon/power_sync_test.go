//go:build linux

package daemon_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/chaos/powerfs"
	"github.com/cyclops-fpga/cyclops/manifest"
)

const (
	failedSyncsVariable = "CYCLOPS_FAILED_SYNCS" // how many; 20 where nothing is said
	perFailedSync       = 10                     // losses of power behind each
)

// TestAFailedSyncIsNotBelieved has one fsync fail, of all that a daemon, its database and its supervisors make, and
// then cuts the power: what was told before and behind that must hold.
func TestAFailedSyncIsNotBelieved(t *testing.T) {
	t.Parallel()
	if again := os.Getenv(againVariable); again != "" {
		oneAgain(t, again)
		return
	}
	l := build(t)
	seed := number(t, seedVariable, rand.Uint64())
	t.Logf("%s=%d", seedVariable, seed)
	draw := rand.New(rand.NewPCG(seed, 2))
	syncs := len(syncsOf(l.record(t, firstBoot, install(1), unlucky(new(bool))), powerfs.SyncEnd))
	all := &tally{}
	for range number(t, failedSyncsVariable, 20) {
		var told bool
		trace := l.recordOn(t, powerfs.Options{FailSync: 1 + draw.IntN(syncs)}, firstBoot, install(1), unlucky(&told))
		struck := syncsOf(trace, powerfs.SyncFail)
		t.Logf("%q fails, told: %v", struck, told)
		if !told && slices.ContainsFunc(struck, keptOfJob.MatchString) {
			t.Error("nobody was told, and the executor takes jobs")
		}
		all.add(l.cut(t, trace, perFailedSync, draw.Uint64()))
		if t.Failed() {
			break
		}
	}
	t.Logf("%d losses of power: %d jobs looked at, %d lost, %d run twice, %d bytes lost", all.losses, all.jobs, all.lost, all.twice, all.bytes)
}

// keptOfJob are the files of a job that a failed sync of stops the executor for.
var keptOfJob = regexp.MustCompile(`/(log|log\.idx|artifacts(/.*)?|manifest\.json\.part)$`)

// syncsOf returns what was synced, or failed to be.
func syncsOf(trace *powerfs.Trace, kind powerfs.Kind) (names []string) {
	for _, op := range trace.Ops {
		if op.Kind == kind {
			names = append(names, op.Name)
		}
	}
	return names
}

// unlucky is a workload on a disk that may fail: whoever is told so starts the executor again and goes on. It notes
// whether anybody was.
func unlucky(told *bool) func(r *recording) {
	return func(r *recording) {
		r.useMuch()
		var hello api.Hello
		if err := r.call("GET", api.PathHello, nil, &hello); err != nil {
			r.Error(err)
		}
		*told = r.starts > 1 || hello.Status.Trouble != ""
	}
}

// useMuch runs jobs with and without inputs and outputs.
func (r *recording) useMuch() {
	for i := range 4 {
		plain := tool("echo begun; sleep 0.02; echo end", "w")
		files := map[string]string{"f": fmt.Sprintln(i)}
		with := tool("cat f | tee g", "w")
		s := r.inlinePack(with, newTree(r, files), nil)
		var told []string
		if r.try(plain, want{Log: "begun\nend\n"}, sending{}) {
			told = append(told, plain.ID)
		}
		if r.try(with, want{Log: files["f"], Outputs: map[string]string{"g": files["f"]}}, s) {
			told = append(told, with.ID)
		}
		for _, id := range told {
			for !r.hear(id) {
				r.startAgain()
			}
		}
	}
}

// try submits a job and tells whether it was accepted.
func (r *recording) try(j *manifest.Job, w want, s sending) bool {
	w.Doc, w.State = encode(r, j), manifest.Succeeded
	r.submitted.Store(j.ID, &w)
	r.note(note{Event: willSubmit, Job: j.ID, Want: &w})
	c := r.stream()
	if s.Job = w.Doc; s.pack != nil {
		s.Inline = true
		c.sendPack(s.pack)
	}
	c.send(api.FrameSubmit, s.Submit)
	for c.accepted == nil {
		if f, more := c.next(); !more {
			r.refused(c, f)
			return false
		}
	}
	c.conn.Close()
	r.note(note{Event: accepted, Job: j.ID, Info: &c.accepted.Job})
	return true
}

// refused looks at why, and does what it says.
func (r *recording) refused(c *client, f api.Frame) {
	e := new(api.Error)
	c.decode(f, e)
	c.conn.Close()
	if e.Kind != api.Unsure && e.Kind != api.Refused || !strings.Contains(e.Message, "the disk failed") || e.Hint == "" {
		r.Errorf("refused: kind %d, %s, hint %s", e.Kind, e.Message, e.Hint)
	}
	r.startAgain()
}

// startAgain ends the daemon, if there is one, and starts it: a second time if the disk fails only then.
func (r *recording) startAgain() {
	r.halt()
	r.starts++
	err := r.lab.start(r.host, r.boot)
	if err != nil && !strings.Contains(err.Error(), "input/output error") {
		r.Fatal(err)
	}
	if err != nil {
		r.starts++
		err = r.lab.start(r.host, r.boot)
	}
	if err != nil {
		r.Fatal(err)
	}
}

// hear follows a job and tells whether it came to its end, or to a host that starts nothing.
func (r *recording) hear(id string) bool {
	c := r.follow(*withJob(id))
	defer c.conn.Close()
	for {
		f, more := c.next()
		if !more && (f.Type == api.FrameError || c.result == nil) {
			r.Errorf("following job %s ends with frame %d %s", id, f.Type, f.Payload)
			return true
		}
		if !more {
			break
		}
		if n := len(c.states); n > 0 && strings.Contains(c.states[n-1].WaitsFor, "the disk failed") {
			return false
		}
	}
	r.noteEnd(id, c.result.State)
	return true
}
