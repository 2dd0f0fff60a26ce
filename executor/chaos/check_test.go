//go:build failpoints && linux

package chaos

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// tally is what the checker counts.
type tally struct {
	Jobs      int `json:"jobs"`
	Vanished  int `json:"vanished"`  // acknowledged, and not there
	Lost      int `json:"lost"`      // although nobody killed the supervisor
	Killed    int `json:"killed"`    // lost because somebody did
	Twice     int `json:"twice"`     // ran more than once
	BytesLost int `json:"bytesLost"` // of logs and outputs
}

func (t *tally) add(o tally) {
	t.Jobs += o.Jobs
	t.Vanished += o.Vanished
	t.Lost += o.Lost
	t.Killed += o.Killed
	t.Twice += o.Twice
	t.BytesLost += o.BytesLost
}

// checker asks a world, in which nothing is broken any more, whether every promise was kept.
type checker struct {
	*world
	tally
	deeds map[string]*deed
}

// check is the one question after every fault. The executor that answers was started after the last
// one: that needs no hand.
func (w *world) check() tally {
	c := &checker{world: w}
	w.openGates()
	listed := c.list()
	if c.wait(listed); slices.ContainsFunc(listed, func(info api.JobInfo) bool { return !info.State.Ended() }) {
		listed = c.list()
	}
	c.deeds = w.deeds()
	for _, info := range listed {
		c.job(info)
	}
	c.acknowledged(listed)
	c.ledger(listed)
	c.running(listed)
	if w.remote {
		w.kill(roleLink) // it would start an executor where one left
	}
	w.stopDaemon()
	c.sound()
	c.leftovers(listed)
	c.daemonLog()
	return c.tally
}

// sound asks whether all that is kept is as it was written.
func (c *checker) sound() {
	if _, err := os.Stat(c.data.Database()); err != nil {
		return // the fault kept it from being made, and nothing was asked of it since
	}
	if r := c.cyclops("executor", "check", "--data", string(c.data)); r.code != 0 {
		c.wrong("what is kept is not as it was written: %v", r)
	}
}

// list asks for every job.
func (c *checker) list() []api.JobInfo {
	var page struct {
		Jobs []api.JobInfo `json:"jobs"`
	}
	r := c.cyclops("ps", "--all", "--json")
	if err := json.Unmarshal([]byte(r.stdout), &page); err != nil || r.code != 0 {
		c.wrong("the jobs cannot be listed: %v", r)
	}
	return page.Jobs
}

// wait asks for the end of every job, and compares the exit code with what the records say.
func (c *checker) wait(listed []api.JobInfo) {
	args := []string{"wait"}
	for _, info := range listed {
		args = append(args, info.ID)
	}
	if len(listed) == 0 {
		return
	}
	r, want := c.cyclops(args...), 0
	for _, id := range args[1:] {
		m, err := c.manifest(id)
		if err == nil && want == 0 {
			want = exitOf(m)
		}
	}
	if r.code != want {
		c.wrong("wait told %d, the records say %d: %v", r.code, want, r)
	}
}

// exitOf is docs/exit-codes.md.
func exitOf(m *manifest.Manifest) int {
	switch {
	case m.State == manifest.Lost:
		return 255
	case m.State == manifest.Cancelled && m.Started == nil:
		return 125
	case m.Signal == "TERM":
		return 128 + 15
	case m.Signal == "KILL":
		return 128 + 9
	case m.ExitCode != nil:
		return *m.ExitCode
	case m.State == manifest.Succeeded:
		return 0
	}
	return 125
}

func (c *checker) manifest(id string) (*manifest.Manifest, error) {
	data, err := os.ReadFile(c.data.Manifest(id))
	if err != nil {
		return nil, err
	}
	return manifest.DecodeManifest(data)
}

// of finds what is known of a job that is listed.
func (c *checker) of(info api.JobInfo) *told {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, j := range c.jobs {
		if j.id == info.ID {
			return j
		}
	}
	for _, j := range c.jobs {
		if j.name == info.Name {
			if j.id == "" && j.retryOf == "" {
				j.id = info.ID
			}
			return j
		}
	}
	return nil
}

// job checks one job's record against its files and against what its tool did.
func (c *checker) job(info api.JobInfo) {
	c.Jobs++
	j := c.of(info)
	m, err := c.manifest(info.ID)
	switch {
	case j == nil:
		c.wrong("job %s is nobody's", info.ID)
		return
	case !info.State.Ended():
		c.wrong("job %s does not end: %s, %s", info.ID, info.State, info.Phase)
		return
	case err != nil:
		c.wrong("job %s, which is %s (%s), has no manifest: %v", info.ID, info.State, info.Reason, err)
		return
	case m.State != info.State || m.Job != info.ID:
		c.wrong("job %s is listed as %s and recorded as %s", info.ID, info.State, m.State)
	}
	if m.State != manifest.Succeeded && m.Reason == "" || nonsense.MatchString(m.Reason) {
		c.wrong("job %s is %s for the reason %q", info.ID, m.State, m.Reason)
	}
	c.note("job: %s: %s", m.State, m.Reason)
	c.lost(m)
	if !j.other {
		c.outcome(j, m)
		c.log(j, m)
		c.artifacts(j, m)
	}
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

// lost allows a job to be lost only where its supervisor was killed.
func (c *checker) lost(m *manifest.Manifest) {
	if m.State != manifest.Lost {
		return
	}
	c.mu.Lock()
	excused := c.killed[m.Job]
	if !excused && c.unknown > 0 {
		c.unknown--
		excused = true
	}
	c.mu.Unlock()
	if excused {
		c.Killed++
		return
	}
	c.Lost++
	c.wrong("job %s is lost and its supervisor was not killed: %s", m.Job, m.Reason)
}

// outcome compares what is recorded with what the tool noted of itself.
func (c *checker) outcome(j *told, m *manifest.Manifest) {
	d := c.deeds[m.Job]
	if d == nil {
		d = &deed{}
	}
	self := m.Signal == "" && m.ExitCode != nil && (m.State == manifest.Succeeded || m.State == manifest.Failed)
	switch {
	case j.withdrawn && (d.started > 0 || m.State != manifest.Cancelled):
		c.wrong("job %s was told to be cancelled, is %s and ran %d times", m.Job, m.State, d.started)
	case self && *m.ExitCode != j.code:
		c.wrong("job %s ended with %d and is recorded with %d: %s", m.Job, j.code, *m.ExitCode, m.Reason)
	case self && (d.started != 1 || d.ended != 1):
		c.wrong("job %s is recorded as %s and ran %d times, to its end %d times", m.Job, m.State, d.started, d.ended)
	case m.Started == nil && d.started > 0:
		c.wrong("job %s ran and is recorded as never started: %s", m.Job, m.Reason)
	case m.State == manifest.Cancelled && d.ended > 0 && m.ExitCode == nil:
		c.wrong("job %s ran to its end and is recorded as %s: %s", m.Job, m.State, m.Reason)
	case m.State == manifest.Cancelled && !j.cancelled && d.started > 0:
		c.wrong("job %s is cancelled and nobody asked for that: %s", m.Job, m.Reason)
	}
	if d.damaged > 0 {
		c.wrong("job %s found its inputs damaged", m.Job)
	}
}

// gap is what stands in a log where bytes could not be kept, as on a full disk.
var gap = regexp.MustCompile(`\ncyclops: (\d+) bytes of output are missing here: [^\n]*\n`)

// kept takes a log apart: the tool's bytes in it, and whether they are what the tool wrote but for the
// gaps that the log itself names.
func kept(log, want string) (bytes string, gaps int, exact bool) {
	var b strings.Builder
	at := 0
	for {
		hole := gap.FindStringSubmatchIndex(log)
		piece := log
		if hole != nil {
			piece = log[:hole[0]]
		}
		if at > len(want) || !strings.HasPrefix(want[at:], piece) {
			return b.String(), gaps, false
		}
		b.WriteString(piece)
		if at += len(piece); hole == nil {
			return b.String(), gaps, true
		}
		n, _ := strconv.Atoi(log[hole[2]:hole[3]])
		at, gaps, log = at+n, gaps+n, log[hole[1]:]
	}
}

// log demands a prefix of what the tool wrote, and all of it once the tool ended by itself; what could
// not be kept must be called that.
func (c *checker) log(j *told, m *manifest.Manifest) {
	got, err := os.ReadFile(c.data.Log(m.Job))
	want := j.says()
	if err != nil && !os.IsNotExist(err) {
		c.wrong("the log of job %s: %v", m.Job, err)
	}
	bytes, gaps, exact := kept(string(got), want)
	if !exact {
		c.BytesLost += len(got)
		c.wrong("the log of job %s is not what the tool wrote: %d bytes, %.300q", m.Job, len(got), got)
	}
	if r := j.run; r != nil && j.id == m.Job {
		c.printed(j, m, r, bytes)
	}
	self := m.State == manifest.Succeeded || m.State == manifest.Failed && m.ExitCode != nil
	missing := len(want) - len(bytes)
	if self && (missing > 0 || gaps > 0) && !admits(m, "log") {
		c.BytesLost += missing
		c.wrong("the log of job %s, which %s, lacks %d bytes and nothing says so: %q", m.Job, m.State, missing, m.Reason)
	}
}

// printed compares what run put on the screen with the log.
func (c *checker) printed(j *told, m *manifest.Manifest, r *result, log string) {
	if !strings.HasPrefix(log, r.stdout) {
		c.wrong("run printed what is not in the log of job %s: %.300q", m.Job, r.stdout)
	}
	if !r.killed && r.code == j.code && onlyNotices(r.stderr) && r.stdout != log {
		c.wrong("run ended as if all were well, and printed %d bytes of %d", len(r.stdout), len(log))
	}
}

// admits tells whether a record says that something could not be kept.
func admits(m *manifest.Manifest, what string) bool {
	return strings.Contains(m.Reason, what) || strings.Contains(m.Reason, "unable to")
}

// artifacts compares every digest with its file, and every output with what the tool made.
func (c *checker) artifacts(j *told, m *manifest.Manifest) {
	outputs := j.makes()
	for _, a := range m.Artifacts {
		data, err := os.ReadFile(filepath.Join(c.data.Job(m.Job), a.Path))
		if err != nil || int64(len(data)) != a.Size || manifest.SumOf(data).Digest() != a.Digest {
			c.wrong("artifact %s of job %s is not what its manifest says: %d bytes of %d, %v", a.Name, m.Job, len(data), a.Size, err)
		}
		if want, ours := outputs[a.Name]; ours && want == string(data) {
			delete(outputs, a.Name)
		} else if ours && m.State != manifest.Lost && m.State != manifest.Cancelled {
			c.BytesLost += len(want)
			c.wrong("output %s of job %s is not what the tool made", a.Name, m.Job)
		}
	}
	self := m.State == manifest.Succeeded || m.State == manifest.Failed && m.ExitCode != nil
	if self && len(outputs) > 0 && !admits(m, "output") {
		for _, want := range outputs {
			c.BytesLost += len(want)
		}
		c.wrong("%d outputs of job %s, which %s, are missing and nothing says so: %q", len(outputs), m.Job, m.State, m.Reason)
	}
	c.delivered(j, m)
}

// delivered holds run to its word: where it ended as the job did, without a word, the outputs are here.
func (c *checker) delivered(j *told, m *manifest.Manifest) {
	r := j.run
	if r == nil || j.id != m.Job {
		return
	}
	if r.killed || r.code != j.code || !onlyNotices(r.stderr) {
		return
	}
	for name, want := range j.makes() {
		if got, err := os.ReadFile(filepath.Join(j.tree, name)); (err != nil || string(got) != want) && !admits(m, "output") {
			c.wrong("run ended as if all were well, and %s is not here: %d bytes, %v", name, len(got), err)
		}
	}
}

func onlyNotices(stderr string) bool {
	for line := range strings.Lines(stderr) {
		if !notices.MatchString(strings.TrimSuffix(line, "\n")) {
			return false
		}
	}
	return true
}

// running demands that nothing of an ended job runs; what is told to end may take a moment.
func (c *checker) running(listed []api.JobInfo) {
	var left []process
	none := func() bool {
		left = slices.DeleteFunc(c.having(roleJob), func(p process) bool {
			return slices.ContainsFunc(listed, func(info api.JobInfo) bool { return info.ID == p.job && !info.State.Ended() })
		})
		return len(left) == 0
	}
	if !eventually(5*time.Second, none) {
		c.wrong("processes of ended jobs are left: %v", left)
	}
}

// acknowledged demands that every job that a user was told of is there, unless it was removed.
func (c *checker) acknowledged(listed []api.JobInfo) {
	c.mu.Lock()
	jobs := slices.Clone(c.jobs)
	c.mu.Unlock()
	for _, j := range jobs {
		there := slices.ContainsFunc(listed, func(info api.JobInfo) bool {
			return info.ID == j.id || j.id == "" && info.Name == j.name
		})
		switch {
		case j.accepted && !there && !j.removed:
			c.Vanished++
			c.wrong("job %s (%s) was acknowledged and is not there", j.name, j.id)
		case j.gone && there:
			c.wrong("job %s was removed and is there", j.id)
		}
	}
}

// ledger demands that nothing ran twice, or without being a job.
func (c *checker) ledger(listed []api.JobInfo) {
	for id, d := range c.deeds {
		if d.started > 1 {
			c.Twice++
			c.wrong("job %s ran %d times", id, d.started)
		}
		known := slices.ContainsFunc(listed, func(info api.JobInfo) bool { return info.ID == id })
		c.mu.Lock()
		removed := slices.ContainsFunc(c.jobs, func(j *told) bool { return j.id == id && j.removed })
		c.mu.Unlock()
		if !known && !removed {
			c.Vanished++
			c.wrong("job %s ran and is not there", id)
		}
	}
}

// leftovers demands that a world at rest holds no more than it lists.
func (c *checker) leftovers(listed []api.JobInfo) {
	for _, dir := range []string{c.data.Tmp(), c.data.Mounts(), c.data.Run(), filepath.Join(c.dir, "tmp"), c.data.Incoming(), c.data.Jobs(), c.data.Packs()} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			c.wrong("%v", err)
		}
		for _, e := range entries {
			if !c.belongs(dir, e.Name(), listed) {
				c.wrong("left behind: %s", filepath.Join(dir, e.Name()))
			}
		}
	}
	var left []process
	if !eventually(5*time.Second, func() bool { left = c.processes(); return len(left) == 0 }) {
		c.wrong("processes are left: %v", left)
	}
}

// belongs tells what may be in a directory of an executor that has ended: what a start needs, what
// the next sweep takes, and what jobs are listed with.
func (c *checker) belongs(dir, name string, listed []api.JobInfo) bool {
	switch dir {
	case c.data.Run():
		return name == "start.lock"
	case c.data.Incoming(), c.data.Packs():
		return true
	case c.data.Jobs():
		return slices.ContainsFunc(listed, func(info api.JobInfo) bool { return info.ID == name }) || c.neverAccepted(name)
	}
	return false
}

// neverAccepted tells whether a job's directory is of one that nobody was told of: its daemon was killed, or
// the disk failed, while it was being accepted.
func (c *checker) neverAccepted(id string) bool {
	c.mu.Lock()
	told := slices.ContainsFunc(c.jobs, func(j *told) bool { return j.id == id && j.accepted })
	c.mu.Unlock()
	return !told && c.data.Bare(id)
}

// daemonLog looks for what must never be in it.
func (c *checker) daemonLog() {
	log, _ := os.ReadFile(c.data.DaemonLog())
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "panic") || strings.Contains(line, "goroutine ") || strings.Contains(line, "fatal error") {
			c.wrong("the executor's log has %q", line)
			return
		}
	}
}
