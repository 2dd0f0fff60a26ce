//go:build linux

package daemon_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/chaos/powerfs"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// powerfsRole is the argument that makes the test binary a file system.
const powerfsRole = "powerfs"

// ledgerName is a file beside the data directory. A tool reaches it from its workspace, on the
// file system that records and in the directory that a crash state was written to alike.
const (
	ledgerName = "ledger"
	ledgerPath = "../../../" + ledgerName
)

// note is a line of the ledger that the harness writes; a line of a tool is the id of its job.
type note struct {
	Event    string         `json:"event"`
	Job      string         `json:"job,omitempty"`
	Want     *want          `json:"want,omitempty"` // of submit
	Info     *api.JobInfo   `json:"info,omitempty"` // what a client was told
	Manifest []byte         `json:"manifest,omitempty"`
	State    manifest.State `json:"state,omitempty"`
	On       bool           `json:"on,omitempty"`
}

// The events, each noted before the request or behind the answer.
const (
	begun      = "begun" // all before is how the disk was found
	willSubmit = "will submit"
	accepted   = "accepted"
	ended      = "ended"
	willCancel = "will cancel"
	cancelled  = "cancelled"
	willRemove = "will remove"
	removed    = "removed"
	moved      = "moved"
	willDrain  = "will drain"
	drained    = "drained"
)

// want is what a job does when it runs to its end.
type want struct {
	Doc     []byte            `json:"doc"`
	Log     string            `json:"log"`
	State   manifest.State    `json:"state"`
	Exit    int               `json:"exit"`
	Outputs map[string]string `json:"outputs,omitempty"`
}

// recording is a host whose data directory lies on a file system that records.
type recording struct {
	*host
	lab       lab
	boot      string
	at        string // where the file system is mounted
	ledger    *os.File
	following sync.WaitGroup
	submitted sync.Map // what is wanted of each job, a *want by its id
	known     []string // what was told before
	starts    int      // of the daemon, where the disk fails
}

func (r *recording) note(n note) {
	line, err := json.Marshal(n)
	if err != nil {
		r.Fatal(err)
	}
	if _, err := r.ledger.Write(append(line, '\n')); err != nil {
		r.Error(err)
	}
}

// record runs a workload, in a boot of its own, on a disk that prepare makes, and returns all that happened on the disk
// meanwhile.
func (l lab) record(t testing.TB, boot string, prepare, work func(r *recording)) *powerfs.Trace {
	t.Helper()
	return l.recordOn(t, powerfs.Options{}, boot, prepare, work)
}

// recordOn is record on a disk with faults.
func (l lab) recordOn(t testing.TB, disk powerfs.Options, boot string, prepare, work func(r *recording)) *powerfs.Trace {
	t.Helper()
	disk.Ledger, disk.SyncTakes = ledgerName, time.Millisecond
	top := scratch(t)
	defer os.RemoveAll(top)
	at, backing := filepath.Join(top, "at"), filepath.Join(top, "backing")
	if err := errors.Join(os.Mkdir(at, 0o700), os.Mkdir(backing, 0o700)); err != nil {
		t.Fatal(err)
	}
	p, err := powerfs.Start([]string{self(t)[0], powerfsRole}, backing, at, filepath.Join(top, "trace"), disk)
	if errors.Is(err, powerfs.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := &recording{lab: l, boot: boot, host: &host{TB: t, data: layout.Data(filepath.Join(at, "data"))}, at: at}
	stopped := false
	defer func() {
		if stopped {
			return
		}
		if r.stop != nil {
			r.halt()
		}
		r.ledger.Close()
		p.Stop()
	}()
	prepare(r)
	r.syncAll()
	if r.ledger, err = os.OpenFile(filepath.Join(at, ledgerName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range r.known {
		io.WriteString(r.ledger, line+"\n")
	}
	r.note(note{Event: begun})
	if disk.FailSync > 0 {
		r.startAgain()
	} else if err := r.lab.start(r.host, boot); err != nil {
		t.Fatal(err)
	}
	work(r)
	r.following.Wait()
	r.halt()
	r.ledger.Close()
	stopped = true
	trace, err := p.Stop()
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

// install makes the data directory and its configuration.
func install(slots int) func(r *recording) {
	return func(r *recording) {
		if err := errors.Join(os.Mkdir(string(r.data), 0o700), os.WriteFile(r.data.Config(), fmt.Appendf(nil, "slots = %d\n", slots), 0o600)); err != nil {
			r.Fatal(err)
		}
	}
}

// syncAll makes what is on the disk so far what it was found with.
func (r *recording) syncAll() {
	err := filepath.WalkDir(r.at, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() && !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
	if err != nil {
		r.Fatal(err)
	}
}

// tool is a job whose first act is a line in the ledger.
func tool(line, workspace string) *manifest.Job {
	return job(`echo "$CYCLOPS_JOB" >> `+ledgerPath+"; "+line, workspace)
}

// sending is how a job and its inputs come.
type sending struct {
	api.Submit
	pack     []byte
	detached bool // nobody follows it
}

// begin submits a job, waits until it is accepted and follows it from then on.
func (r *recording) begin(j *manifest.Job, w want, s sending) {
	w.Doc = encode(r, j)
	if w.State == "" {
		w.State = manifest.Succeeded
	}
	r.submitted.Store(j.ID, &w)
	r.note(note{Event: willSubmit, Job: j.ID, Want: &w})
	c := r.stream()
	if s.Job = w.Doc; !s.detached {
		s.Follow = everything
	}
	if s.pack != nil {
		s.Inline = true
		c.sendPack(s.pack)
	}
	c.send(api.FrameSubmit, s.Submit)
	c.await("Accepted", func() bool { return c.accepted != nil })
	r.note(note{Event: accepted, Job: j.ID, Info: &c.accepted.Job})
	if !s.detached {
		r.following.Go(func() { r.finish(c, j.ID) })
	}
}

func (r *recording) wanted(id string) *want {
	w, _ := r.submitted.Load(id)
	return w.(*want)
}

// finish follows a job to its end. A daemon that leaves ends the stream; the next one is asked.
func (r *recording) finish(c *client, id string) {
	err := c.drain()
	if err != nil || c.result == nil {
		r.Errorf("job %s: %v", id, err)
		return
	}
	if state := r.wanted(id).State; c.result.State != state && c.result.State != manifest.Cancelled && r.known == nil {
		r.Errorf("job %s is to be %s and is %s: %s", id, state, c.result.State, c.result.Reason)
	}
	r.noteEnd(id, c.result.State)
}

// noteEnd notes that a client was told of a job's end.
func (r *recording) noteEnd(id string, state manifest.State) {
	disk, err := os.ReadFile(r.data.Manifest(id))
	if err != nil {
		r.Error(err)
	}
	r.note(note{Event: ended, Job: id, Manifest: disk, State: state})
}

// runToEnd begins a job and waits until a client was told that it has ended.
func (r *recording) runToEnd(j *manifest.Job, w want, s sending) {
	r.begin(j, w, s)
	r.following.Wait()
}

// inlinePack sends the inputs with the submit.
func (r *recording) inlinePack(j *manifest.Job, s, have *tree) sending {
	j.Input.Snapshot = s.root.Digest()
	out := sending{pack: s.pack(r, have)}
	if have != nil {
		out.Bases = []manifest.Digest{have.root.Digest()}
	}
	return out
}

// uploadedPack puts the inputs into incoming/ first, as SFTP does.
func (r *recording) uploadedPack(j *manifest.Job, s *tree) sending {
	j.Input.Snapshot = s.root.Digest()
	name := "up-" + j.ID
	if err := os.WriteFile(filepath.Join(r.data.Incoming(), name), s.pack(r, nil), 0o600); err != nil {
		r.Fatal(err)
	}
	return sending{Submit: api.Submit{Uploads: []string{name}}}
}

func (r *recording) cancel(id string) {
	r.note(note{Event: willCancel, Job: id})
	var info api.JobInfo
	if err := r.call("POST", "/v1/jobs/"+id+"/cancel", api.CancelRequest{GraceSecs: 0.1}, &info); err != nil {
		r.Errorf("cancel: %v", err)
		return
	}
	r.note(note{Event: cancelled, Job: id, State: info.State})
}

func (r *recording) remove(id string) {
	r.note(note{Event: willRemove, Job: id})
	if err := r.call("DELETE", "/v1/jobs/"+id, nil, nil); err != nil {
		r.Errorf("remove: %v", err)
		return
	}
	r.note(note{Event: removed, Job: id})
}

func (r *recording) retry(id string) {
	again := manifest.NewID()
	w := *r.wanted(id)
	r.submitted.Store(again, &w)
	r.note(note{Event: willSubmit, Job: again, Want: &w})
	var info api.JobInfo
	if err := r.call("POST", "/v1/jobs/"+id+"/retry", api.RetryRequest{ID: again, Created: time.Now()}, &info); err != nil {
		r.Errorf("retry: %v", err)
		return
	}
	r.note(note{Event: accepted, Job: again, Info: &info})
	r.following.Go(func() { r.finish(r.follow(*withJob(again)), again) })
}

func withJob(id string) *api.Follow {
	f := *everything
	f.Job = id
	return &f
}

func (r *recording) drainHost(on bool) {
	r.note(note{Event: willDrain})
	if err := r.call("POST", api.PathDrain, api.DrainRequest{Draining: on}, nil); err != nil {
		r.Errorf("drain: %v", err)
		return
	}
	r.note(note{Event: drained, On: on})
}

func (r *recording) moveUp(id string) {
	if err := r.call("POST", "/v1/jobs/"+id+"/priority", api.PriorityRequest{Priority: manifest.Interactive}, nil); err != nil {
		return // it runs already
	}
	r.note(note{Event: moved, Job: id})
}

func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintln(&b, i+1)
	}
	return b.String()
}

// everythingThereIs is a workload of every kind of job and order.
func everythingThereIs(r *recording) {
	plain := tool("echo hello", "plain")
	r.runToEnd(plain, want{Log: "hello\n"}, sending{})
	r.runToEnd(tool("", "plain"), want{}, sending{})
	r.begin(tool("echo no >&2; exit 3", "fails"), want{Log: "no\n", State: manifest.Failed, Exit: 3}, sending{})
	r.begin(tool("seq 1 9000", "long"), want{Log: lines(9000)}, sending{})
	r.begin(tool("for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.01; done", "slow"), want{Log: lines(8)}, sending{})
	failed := tool("exit 1", "fails")
	r.runToEnd(failed, want{State: manifest.Failed, Exit: 1}, sending{})

	files := map[string]string{"a": "one\n", "sub/b": "two\n"}
	base := newTree(r, files)
	script := "cat a sub/b; mkdir -p out; cat a sub/b > out/all; echo new > out/new"
	with := tool(script, "inputs")
	with.Outputs.Fetch = []string{"out/**"}
	r.begin(with, want{Log: "one\ntwo\n", Outputs: map[string]string{"out/all": "one\ntwo\n", "out/new": "new\n"}}, r.inlinePack(with, base, nil))
	files["sub/b"] = strings.Repeat("three\n", 2000)
	next := newTree(r, files)
	changed := tool("cat a sub/b > all; cat a", "inputs")
	r.begin(changed, want{Log: "one\n", Outputs: map[string]string{"all": "one\n" + files["sub/b"]}}, r.inlinePack(changed, next, base))
	isolated := tool("cat sub/b", "inputs")
	isolated.Workspace.Mode = manifest.Isolated
	isolated.Input.Snapshot = next.root.Digest()
	r.runToEnd(isolated, want{Log: files["sub/b"]}, sending{})

	noise := make([]byte, 60000)
	for i := range noise {
		noise[i] = 'A' + byte(rand.IntN(60)) // it does not compress well
	}
	large := newTree(r, map[string]string{"noise": string(noise), "a": "one\n"})
	uploaded := tool("cat noise > copy; wc -c < copy", "uploads")
	r.begin(uploaded, want{Log: "60000\n", Outputs: map[string]string{"copy": string(noise)}}, r.uploadedPack(uploaded, large))

	r.begin(tool("echo begun; sleep 0.1", "plain"), want{Log: "begun\n"}, sending{})
	never, low := tool("echo never", "plain"), tool("echo low", "plain")
	low.Priority = manifest.Low
	r.begin(never, want{Log: "never\n"}, sending{})
	r.begin(low, want{Log: "low\n"}, sending{})
	r.cancel(never.ID)
	r.moveUp(low.ID)
	after := tool("echo after", "other")
	after.After = []string{uploaded.ID}
	r.begin(after, want{Log: "after\n"}, sending{})
	r.following.Wait()

	r.begin(tool("sleep 0.15; echo outlived", "plain"), want{Log: "outlived\n"}, sending{})
	r.drainHost(true)
	r.remove(plain.ID)
	r.drainHost(false)
	r.retry(failed.ID)
	r.retry(changed.ID)
	r.remove(isolated.ID)
	r.following.Wait()

	cancelled := tool("echo begun; sleep 0.5", "plain")
	r.begin(cancelled, want{Log: "begun\n"}, sending{})
	r.cancel(cancelled.ID)
	late := tool("exec sleep 2", "plain")
	late.TimeoutSecs = 0.05
	r.begin(late, want{State: manifest.TimedOut}, sending{})
	steps := tool("echo one", "steps")
	steps.Steps = append(steps.Steps, manifest.Step{Name: "two", Run: "echo two > two.txt; cat two.txt"})
	r.begin(steps, want{Log: "one\ntwo\n", Outputs: map[string]string{"two.txt": "two\n"}}, sending{})
	r.remove(changed.ID)
	r.following.Wait()
}

// restarts is what a daemon finds that comes back: jobs that run, wait, or have ended meanwhile.
func restarts(r *recording) {
	files := map[string]string{"f": "0\n"}
	base := newTree(r, files)
	for i := range 4 {
		first := tool("echo across; sleep 0.03; echo end", "w")
		r.begin(first, want{Log: "across\nend\n"}, sending{detached: true})
		files["f"] = fmt.Sprintln(i + 1)
		next := newTree(r, files)
		second := tool("cat f | tee g", "w")
		s := r.inlinePack(second, next, base)
		s.detached = true
		r.begin(second, want{Log: files["f"], Outputs: map[string]string{"g": files["f"]}}, s)
		base = next
		r.halt()
		if err := r.lab.start(r.host, r.boot); err != nil {
			r.Fatal(err)
		}
		for _, id := range []string{first.ID, second.ID} {
			r.finish(r.follow(*withJob(id)), id)
		}
	}
}

// after puts what a loss of power left on the disk, and what had been told until then.
func after(trace *powerfs.Trace, n int, seed uint64) func(r *recording) {
	return func(r *recording) {
		if err := trace.Crash(n, seed).Write(r.at); err != nil {
			r.Fatal(err)
		}
		trace.Marks(func(i int, line string) {
			var told note
			if i >= n || json.Unmarshal([]byte(line), &told) == nil && told.Event == begun {
				return
			}
			r.known = append(r.known, line)
			if told.Want != nil {
				r.submitted.Store(told.Job, told.Want)
			}
		})
	}
}

// recovers is what a daemon does that comes back after a loss of power.
func recovers(r *recording) {
	r.drainHost(false)
	var page api.JobPage
	if err := r.call("GET", api.PathJobs+"?state=queued&state=running&limit=1000", nil, &page); err != nil {
		r.Fatal(err)
	}
	for _, j := range page.Jobs {
		r.following.Go(func() { r.finish(r.follow(*withJob(j.ID)), j.ID) })
	}
	r.runToEnd(tool("echo later", "later"), want{Log: "later\n"}, sending{})
}
