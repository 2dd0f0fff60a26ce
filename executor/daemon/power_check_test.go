//go:build linux

package daemon_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/chaos/powerfs"
	"github.com/cyclops-fpga/cyclops/executor/joblog"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/supervise"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// expected is what was told and seen of a job before the power went.
type expected struct {
	want       *want
	accepted   bool
	ran        bool // its tool had started
	ended      bool // a client was told so, with this manifest
	manifest   []byte
	cancelling bool // somebody asked for it
	cancelled  bool // and was told that it is
	removing   bool
	removed    bool
	moved      bool
}

// expectation is all that was told before operation n.
type expectation struct {
	jobs    map[string]*expected
	order   []string
	drained bool // the last word on it
	unsure  bool // it is being changed
}

func (e *expectation) job(id string) *expected {
	if e.jobs[id] == nil {
		e.jobs[id] = &expected{}
		e.order = append(e.order, id)
	}
	return e.jobs[id]
}

func expect(tb testing.TB, trace *powerfs.Trace, n int) *expectation {
	e := &expectation{jobs: map[string]*expected{}}
	trace.Marks(func(i int, line string) {
		if i >= n {
			return
		}
		if line[0] != '{' {
			e.job(line).ran = true
			return
		}
		var n note
		if err := json.Unmarshal([]byte(line), &n); err != nil {
			tb.Fatal(err)
		}
		e.hear(&n)
	})
	return e
}

func (e *expectation) hear(n *note) {
	switch n.Event {
	case willSubmit:
		e.job(n.Job).want = n.Want
	case accepted:
		e.job(n.Job).accepted = true
	case ended:
		e.job(n.Job).ended, e.job(n.Job).manifest = true, n.Manifest
	case willCancel:
		e.job(n.Job).cancelling = true
	case cancelled:
		e.job(n.Job).cancelled = n.State == manifest.Cancelled
	case willRemove:
		e.job(n.Job).removing = true
	case removed:
		e.job(n.Job).removed = true
	case moved:
		e.job(n.Job).moved = true
	case willDrain:
		e.unsure = true
	case drained:
		e.unsure, e.drained = false, n.On
	}
}

// found is what the disk says of a job before a daemon looks at it.
type found struct {
	state    manifest.State // empty: the store does not know it
	manifest *manifest.Manifest
	bytes    []byte
}

// aftermath is one crash state and the daemon that is opened on it.
type aftermath struct {
	*host
	top      string
	expected *expectation
	found    map[string]*found
	store    string // its id
	problems []string
	tally    *tally
}

func (a *aftermath) problem(format string, args ...any) {
	a.problems = append(a.problems, fmt.Sprintf(format, args...))
}

// outcome writes a crash state, lets a daemon take it up, and returns what is wrong with it.
func (l lab) outcome(t testing.TB, trace *powerfs.Trace, n int, seed uint64, count *tally) []string {
	a := &aftermath{top: scratch(t), found: map[string]*found{}, tally: count}
	defer os.RemoveAll(a.top)
	a.expected = expect(t, trace, n)
	if err := trace.Crash(n, seed).Write(a.top); err != nil {
		t.Fatal(err)
	}
	a.host = &host{TB: t, data: layout.Data(filepath.Join(a.top, "data"))}
	if err := a.look(); err != nil {
		a.problem("the store cannot be read: %v", err)
		return a.problems
	}
	if err := l.start(a.host, lastBoot); err != nil {
		a.problem("no daemon opens: %v", err)
		return a.problems
	}
	defer func() { a.halt() }()
	a.checkQueue()
	a.await()
	a.check()
	if n%oneOf == 0 && len(a.problems) == 0 {
		a.checkAgain(l)
	}
	return a.problems
}

// oneOf so many daemons is started a second time.
const oneOf = 8

// checkAgain starts the daemon once more in the same boot: all that it says must stay as it is.
func (a *aftermath) checkAgain(l lab) {
	before := a.list()
	a.halt()
	if err := l.start(a.host, lastBoot); err != nil {
		a.problem("no daemon opens a second time: %v", err)
		return
	}
	if after := a.list(); !bytes.Equal(before, after) {
		a.problem("a second start says\n%s\nand the first said\n%s", after, before)
	}
}

func (a *aftermath) list() []byte {
	var page json.RawMessage
	if err := a.call("GET", api.PathJobs+"?limit=1000", nil, &page); err != nil {
		a.problem("no list: %v", err)
	}
	return page
}

// scratch is a directory in memory, where there is one.
func scratch(t testing.TB) string {
	top := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		top = "/dev/shm"
	}
	dir, err := os.MkdirTemp(top, "cyclops-power-")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// look reads what the disk says, from a copy of the database, which reading would mend.
func (a *aftermath) look() error {
	for id := range a.expected.jobs {
		a.found[id] = &found{}
	}
	err := a.states(func(id string, state manifest.State) {
		if a.found[id] == nil {
			a.problem("job %s came from nowhere", id)
			return
		}
		a.found[id].state = state
	})
	if err != nil {
		return err
	}
	for id, f := range a.found {
		if f.bytes, err = os.ReadFile(a.data.Manifest(id)); err != nil {
			continue
		}
		if f.manifest, err = manifest.DecodeManifest(f.bytes); err != nil {
			a.problem("the manifest of job %s: %v", id, err)
		}
	}
	return nil
}

func (a *aftermath) states(fn func(id string, state manifest.State)) error {
	copied := filepath.Join(a.top, "copy.db")
	for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
		data, err := os.ReadFile(a.data.Database() + suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(copied+suffix, data, 0o600)
		}
		if err != nil {
			return err
		}
	}
	db, err := sql.Open("sqlite", copied)
	if err != nil {
		return err
	}
	defer db.Close()
	var tables int
	if err := db.QueryRow(`SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil || tables == 0 {
		return err
	}
	rows, err := db.Query(`SELECT id, state FROM jobs`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var state manifest.State
		if err := rows.Scan(&id, &state); err != nil {
			return err
		}
		fn(id, state)
	}
	return rows.Err()
}

// checkQueue compares what was told of the queue and lets it go on.
func (a *aftermath) checkQueue() {
	var hello api.Hello
	if err := a.call("GET", api.PathHello, nil, &hello); err != nil {
		a.problem("it does not answer: %v", err)
		return
	}
	a.store = hello.Store
	draining := hello.Status.Draining
	if !a.expected.unsure && draining != a.expected.drained {
		a.problem("draining is %v, %v was told", draining, a.expected.drained)
	}
	if draining {
		if err := a.call("POST", api.PathDrain, api.DrainRequest{}, nil); err != nil {
			a.problem("it does not resume: %v", err)
		}
	}
}

// await follows every job to its end.
func (a *aftermath) await() {
	for {
		var page api.JobPage
		if err := a.call("GET", api.PathJobs+"?state=queued&state=running&limit=1000", nil, &page); err != nil {
			a.problem("no list: %v", err)
			return
		}
		if len(page.Jobs) == 0 {
			return
		}
		for _, j := range page.Jobs {
			if err := a.follow(api.Follow{Job: j.ID}).drain(); err != nil {
				a.problem("job %s does not end: %v", j.ID, err)
				return
			}
		}
	}
}

// check compares every job with what was told of it.
func (a *aftermath) check() {
	ledger, _ := os.ReadFile(filepath.Join(a.top, ledgerName))
	again := strings.Fields(string(ledger))
	for _, id := range a.expected.order {
		var info api.JobInfo
		refused := a.call("GET", "/v1/jobs/"+id, nil, &info)
		times := 0
		for _, line := range again {
			if line == id {
				times++
			}
		}
		a.tally.jobs++
		before := len(a.problems)
		a.job(id, refused, &info, times)
		for i, p := range a.problems[before:] {
			a.problems[before+i] = fmt.Sprintf("job %s (%.60q): %s", id, a.command(id), p)
		}
	}
}

func (a *aftermath) command(id string) string {
	if w := a.expected.jobs[id].want; w != nil {
		if doc, err := manifest.DecodeJob(w.Doc); err == nil {
			return strings.TrimPrefix(doc.Steps[0].Run, tool("", "w").Steps[0].Run)
		}
	}
	return "?"
}

// job checks one job: info is what the daemon says of it now, times how often its tool started.
func (a *aftermath) job(id string, refused *api.Error, info *api.JobInfo, times int) {
	e, f := a.expected.jobs[id], a.found[id]
	if e.ran && times > 0 || times > 1 {
		a.tally.twice++
		a.problem("it ran again")
	}
	switch {
	case refused != nil && refused.Kind != api.NotFound:
		a.problem("%v", refused)
	case refused != nil && e.accepted && !e.removing:
		a.tally.lost++
		a.problem("it was accepted and is gone")
	case refused == nil && e.removed:
		a.problem("it was removed and is back")
	}
	if refused != nil {
		return
	}
	if e.moved && info.Priority != manifest.Interactive {
		a.problem("it was moved up, and is %s", info.Priority)
	}
	a.state(e, f, info, times)
	a.record(id, e, info)
}

// state checks how a job ended.
func (a *aftermath) state(e *expected, f *found, info *api.JobInfo, times int) {
	if !info.State.Ended() {
		a.problem("it is %s", info.State)
		return
	}
	if info.State != manifest.Succeeded && info.Reason == "" {
		a.problem("it is %s and nobody says why", info.State)
	}
	switch {
	case e.ended && (f.manifest == nil || !bytes.Equal(f.bytes, e.manifest)):
		a.problem("a client was told that it ended, and its manifest is gone; it is %s: %s", info.State, info.Reason)
	case f.manifest != nil:
		m := f.manifest
		if info.State != m.State || info.Reason != m.Reason || info.Signal != m.Signal || (info.ExitCode == nil) != (m.ExitCode == nil) || m.ExitCode != nil && *m.ExitCode != *info.ExitCode {
			a.problem("it was %s (%s) and is %s (%s)", m.State, m.Reason, info.State, info.Reason)
		}
		if times > 0 {
			a.problem("it had ended and ran")
		}
	case e.cancelled:
		if info.State != manifest.Cancelled {
			a.problem("a client was told that it is cancelled, and it is %s", info.State)
		}
	case f.state.Ended():
		a.problem("the store says that it %s, and there is no manifest", f.state)
	case f.state == "" || f.state == manifest.Queued:
		a.ranNow(e, info, times)
	default:
		if info.State != manifest.Lost {
			a.problem("it may have run when the power went, and is %s (%s)", info.State, info.Reason)
		} else if !strings.Contains(info.Reason, "the host was restarted") {
			a.problem("it is lost, and the reason is %q", info.Reason)
		}
		if times > 0 {
			a.problem("it may have run when the power went, and ran")
		}
	}
}

// ranNow checks a job that waited when the power went.
func (a *aftermath) ranNow(e *expected, info *api.JobInfo, times int) {
	if e.ran {
		a.problem("its tool had started, and the store says that it waits")
	}
	doc, err := manifest.DecodeJob(e.want.Doc)
	if err != nil {
		a.problem("%v", err)
		return
	}
	// Behind a job that was lost it does not run.
	if info.State == manifest.Cancelled && len(doc.After) > 0 {
		return
	}
	// Its timeout counts from its start: on a busy machine it can be over before there is a tool.
	if info.State == manifest.TimedOut && times == 0 {
		return
	}
	if times != 1 {
		a.problem("it waited, and its tool started %d times; it is %s: %s", times, info.State, info.Reason)
	}
	if info.State != e.want.State || info.ExitCode != nil && *info.ExitCode != e.want.Exit {
		a.problem("it waited, and is %s (%s)", info.State, info.Reason)
	}
}

// record checks the files that a job's manifest lists.
func (a *aftermath) record(id string, e *expected, info *api.JobInfo) {
	data, err := os.ReadFile(a.data.Manifest(id))
	if err != nil {
		a.problem("it has ended: %v", err)
		return
	}
	m, err := manifest.DecodeManifest(data)
	if err != nil {
		a.problem("%v", err)
		return
	}
	if m.Store != a.store {
		a.problem("it is of store %q, and this is %q", m.Store, a.store)
	}
	if m.Extra[supervise.FailedDisk] != nil {
		if !strings.Contains(m.Reason, "input/output error") {
			a.problem("the disk did not keep it, and the reason is %q", m.Reason)
		}
		return
	}
	content := map[string]string{}
	for i := range m.Artifacts {
		art := &m.Artifacts[i]
		if art.Volatile || art.Kind == manifest.KindSymlink {
			continue
		}
		data, err := os.ReadFile(filepath.Join(a.data.Job(id), art.Path))
		if err != nil || int64(len(data)) != art.Size || manifest.SumOf(data).Digest() != art.Digest {
			a.tally.bytes += art.Size
			a.problem("%s is not what the manifest says: %d of %d bytes, %v", art.Path, len(data), art.Size, err)
			continue
		}
		content[art.Path] = string(data)
	}
	a.contents(id, e, m, content, info)
}

// contents checks the log and the outputs.
func (a *aftermath) contents(id string, e *expected, m *manifest.Manifest, content map[string]string, info *api.JobInfo) {
	log, listed := content["log"]
	if listed {
		a.readable(id, log)
	}
	natural := info.State == e.want.State && !slices.Contains([]manifest.State{manifest.Lost, manifest.Cancelled}, info.State)
	if natural && log != e.want.Log || !strings.HasPrefix(e.want.Log, log) {
		a.problem("it is %s and its log is %.80q (%d bytes), not %.80q (%d bytes)", info.State, log, len(log), e.want.Log, len(e.want.Log))
	}
	if m.Usage.LogBytes != int64(len(log)) {
		a.problem("the log has %d bytes, the manifest says %d", len(log), m.Usage.LogBytes)
	}
	for name, text := range e.want.Outputs {
		if got, ok := content["artifacts/"+name]; info.State == manifest.Succeeded && (!ok || got != text) {
			a.problem("output %s is %.40q, not %.40q: %v", name, got, text, info.Reason)
		}
	}
}

// readable reads a log through its index.
func (a *aftermath) readable(id, log string) {
	r, err := joblog.Open(a.data, id)
	if err != nil {
		a.problem("%v", err)
		return
	}
	defer r.Close()
	var got []byte
	buf := make([]byte, 64<<10)
	for at := int64(0); ; {
		chunk, next, err := r.Read(at, int64(len(log)), 0, buf)
		if err == io.EOF {
			break
		}
		if err != nil {
			a.problem("its log cannot be read through its index: %v", err)
			return
		}
		got, at = append(got, chunk.Data...), next
	}
	if string(got) != log {
		a.problem("its log reads %d bytes through its index, not %d", len(got), len(log))
	}
}
