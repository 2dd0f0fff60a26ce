//go:build linux

package engine

import (
	"cmp"
	"strings"
	"sync"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/inputs"
	"github.com/cyclops-fpga/cyclops/executor/queue"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// job is one that has not ended, or has just. Engine.mu guards it.
type job struct {
	row        store.Job
	after      []string
	needs      map[string]int
	held       map[string][]string
	accepted   chan struct{} // closed when the store has it, or refused
	ended      chan struct{} // closed when its manifest can be read, or it was refused
	refused    error         // why it was never accepted; read behind accepted
	unreadable error         // why its document is not known
	copied     bool          // what the store gets was decided; a later start is another commit

	phase       string
	step        int
	logSize     int64
	pins        *inputs.Pins
	control     *api.FrameWriter // to the supervisor, once there is one
	foreign     *foreigner       // the supervisor, if it is of another version
	cancel      *api.CancelRequest
	stdinTaken  int64
	stdinClosed bool

	speaking sync.Mutex // keeps what is said to the supervisor in order; taken before Engine.mu
	claims   uint64     // on its input, so far
	asked    int        // claims that the supervisor has not answered
	unsaid   []string   // those of them that it has not heard of
	owner    *Watch     // whose input it is; nil: of nobody who watches, or not known yet

	version   uint64 // counts the changes that a State frame tells of
	watchers  map[*Watch]struct{}
	overviews overviews // of the engine; nil: it was not taken up yet
}

// newJob indexes a job that a client asks for.
func newJob(doc *manifest.Job, digest manifest.Sum) *job {
	snapshot, _ := doc.Input.Snapshot.Sum()
	j := &job{
		row: store.Job{
			ID: doc.ID, Digest: digest, State: manifest.Queued, Priority: doc.Priority,
			Workspace: doc.Workspace.Name, Name: doc.Name, Snapshot: snapshot, Accepted: time.Now().UTC(),
			About: store.About{
				Project: doc.Project, Labels: doc.Labels, Owner: doc.Owner, Command: command(doc), Mode: doc.Workspace.Mode, Beside: doc.Beside,
				Terminal: doc.Terminal != nil,
			},
		},
		after: doc.After, needs: doc.Needs, accepted: make(chan struct{}), ended: make(chan struct{}), watchers: map[*Watch]struct{}{},
	}
	for _, s := range doc.Steps {
		j.row.About.Steps = append(j.row.About.Steps, api.StepInfo{Name: s.Name})
	}
	return j
}

// restored is a job that the store had, with its document.
func restored(row store.Job, doc *manifest.Job) *job {
	j := &job{
		row: row, after: doc.After, needs: doc.Needs, accepted: make(chan struct{}), ended: make(chan struct{}), copied: true,
		watchers: map[*Watch]struct{}{},
	}
	close(j.accepted)
	return j
}

// maxCommand bounds a command as lists show it, in bytes.
const maxCommand = 500

// command writes for people what a job runs.
func command(doc *manifest.Job) string {
	var words []string
	for _, s := range doc.Steps {
		word := s.Run
		if word == "" {
			word = strings.Join(s.Argv, " ")
		}
		if s.Name != "" && len(doc.Steps) > 1 {
			word = s.Name
		}
		words = append(words, word)
	}
	text := strings.Join(words, ", ")
	if len(text) > maxCommand {
		text = strings.ToValidUTF8(text[:maxCommand], "") + "…"
	}
	return text
}

func (j *job) queued() queue.Job {
	return queue.Job{
		ID: j.row.ID, Seq: j.row.Seq, Priority: j.row.Priority, Workspace: j.row.Workspace, Mode: j.row.About.Mode,
		Needs: j.needs, After: j.after,
	}
}

// changed wakes everyone who watches.
func (j *job) changed() {
	j.version++
	j.overviews.changed(j)
	j.wake()
}

func (j *job) wake() {
	for w := range j.watchers {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// info is what a list or a state frame says of a job. e.mu is held.
func (e *Engine) info(j *job) api.JobInfo {
	info := e.rowInfo(&j.row)
	if j.row.State == manifest.Running {
		info.Phase, info.Step, info.LogSize = j.phase, j.step, j.logSize
	}
	if j.row.State == manifest.Queued {
		info.Position, info.WaitsFor = e.queue.Standing(j.row.ID)
		info.WaitsFor = cmp.Or(e.trouble(), info.WaitsFor)
	}
	return info
}

// rowInfo is what the store knows of a job.
func (e *Engine) rowInfo(row *store.Job) api.JobInfo {
	e.latest(row)
	info := api.JobInfo{
		ID: row.ID, Seq: row.Seq, Name: row.Name, Project: row.About.Project, Labels: row.About.Labels, Owner: row.About.Owner,
		Command: row.About.Command, State: row.State, Steps: row.About.Steps, Priority: row.Priority, Workspace: row.Workspace,
		Accepted: row.Accepted, Started: timeOrNil(row.Started), Ended: timeOrNil(row.Ended), ExitCode: row.ExitCode,
		Signal: row.Signal, Reason: row.Reason, LogSize: row.LogSize, Location: e.Data.Job(row.ID),
		Terminal: row.About.Terminal, Warnings: row.About.Warnings, Beside: row.About.Beside, Pinned: row.About.Pinned,
	}
	if !row.Snapshot.IsZero() {
		info.Snapshot = row.Snapshot.Digest()
	}
	return info
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
