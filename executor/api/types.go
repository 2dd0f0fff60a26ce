package api

import (
	"encoding/json"
	"time"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// Hello says who answers. `cyclopsd dial` prints it as its first line, followed by a newline.
type Hello struct {
	API          int       `json:"api"`
	MinAPI       int       `json:"minApi"`
	Capabilities []string  `json:"capabilities"`
	Executor     string    `json:"executor"` // version of the daemon
	Store        string    `json:"store"`    // id of its data directory
	Socket       string    `json:"socket,omitempty"`
	Data         string    `json:"data"`
	Host         string    `json:"host"`
	User         string    `json:"user"`
	OS           string    `json:"os"`
	Arch         string    `json:"arch"`
	PID          int       `json:"pid"`
	Clock        time.Time `json:"clock"`
	Status       *Status   `json:"status,omitempty"` // only of PathHello
	Error        *Error    `json:"error,omitempty"`  // only of dial: why no daemon can be had
}

// Status is the load of a host.
type Status struct {
	Slots     int              `json:"slots"`
	Running   int              `json:"running"`
	Queued    int              `json:"queued"`
	Draining  bool             `json:"draining"`
	Trouble   string           `json:"trouble,omitempty"` // why no job is taken or started, for people; empty: they are
	Resources []ResourceStatus `json:"resources"`
	Tools     []string         `json:"tools"`
	Load      float64          `json:"load"`
	DiskFree  int64            `json:"diskFree"` // bytes, for this user, where the data is
	DiskTotal int64            `json:"diskTotal"`
	Started   time.Time        `json:"started"`
}

// ResourceStatus says how much of a resource there is and is held.
type ResourceStatus struct {
	Name  string `json:"name"`
	Total int    `json:"total"`
	Held  int    `json:"held"`
}

// The phases of a running job.
const (
	PhasePreparing  = "preparing"  // its workspace is brought up to date
	PhaseRunning    = "running"    // its command runs
	PhaseCollecting = "collecting" // its outputs are hashed
	PhaseRecording  = "recording"  // its record is written; it stays in this phase while the disk takes none
)

// JobInfo is what a list or a state frame says of a job.
type JobInfo struct {
	ID        string            `json:"id"`
	Seq       int64             `json:"seq"` // order of acceptance on this host
	Name      string            `json:"name,omitempty"`
	Project   string            `json:"project,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Owner     string            `json:"owner,omitempty"`
	Command   string            `json:"command"` // for people
	State     manifest.State    `json:"state"`
	Phase     string            `json:"phase,omitempty"` // one of the phases, while running
	Step      int               `json:"step"`            // index of the step that runs
	Steps     []StepInfo        `json:"steps,omitempty"`
	Priority  manifest.Priority `json:"priority"`
	Workspace string            `json:"workspace"`
	Position  int               `json:"position,omitempty"` // in the queue, from 1
	WaitsFor  string            `json:"waitsFor,omitempty"` // what a queued job waits for, for people
	Accepted  time.Time         `json:"accepted"`
	Started   *time.Time        `json:"started,omitempty"`
	Ended     *time.Time        `json:"ended,omitempty"`
	ExitCode  *int              `json:"exitCode,omitempty"`
	Signal    string            `json:"signal,omitempty"`
	Reason    string            `json:"reason,omitempty"`
	Snapshot  manifest.Digest   `json:"snapshot,omitempty"`
	LogSize   int64             `json:"logSize"`
	Terminal  bool              `json:"terminal,omitempty"` // it runs on one
	Beside    string            `json:"beside,omitempty"`   // id of the job in whose workspace it runs
	Pinned    bool              `json:"pinned,omitempty"`   // it is not removed until it is unpinned
	Warnings  []string          `json:"warnings,omitempty"` // of a running job, for people
	Location  string            `json:"location"`           // directory of the job on the host, absolute
}

// StepInfo is a step's name and state.
type StepInfo struct {
	Name     string     `json:"name,omitempty"`
	Started  *time.Time `json:"started,omitempty"`
	Ended    *time.Time `json:"ended,omitempty"`
	ExitCode *int       `json:"exitCode,omitempty"`
}

// JobPage is one page of a list, newest first.
type JobPage struct {
	Jobs   []JobInfo `json:"jobs"`
	Cursor string    `json:"cursor,omitempty"` // of the next page; empty: no more
	Newer  bool      `json:"newer,omitempty"`  // of a page that was asked for with after: there are newer ones than these
}

// CancelRequest asks to stop a job: TERM, grace, KILL to the whole process tree.
type CancelRequest struct {
	GraceSecs float64 `json:"graceSeconds,omitempty"` // 0: the job's own
	Reason    string  `json:"reason,omitempty"`
}

// RetryRequest asks for the same job again, on the same pinned inputs, under a new id.
type RetryRequest struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
}

// PriorityRequest moves a queued job.
type PriorityRequest struct {
	Priority manifest.Priority `json:"priority"`
}

// DrainRequest stops (or allows again) the starting of jobs.
type DrainRequest struct {
	Draining bool `json:"draining"`
}

// Removed says what a removal freed.
type Removed struct {
	ID         string `json:"id"`
	FreedBytes int64  `json:"freedBytes"`
}

// RemoveRequest asks to delete ended jobs, with all that only they use.
type RemoveRequest struct {
	Jobs []string `json:"jobs"` // whole ids
}

// RemoveReply says what became of each job that a RemoveRequest names.
type RemoveReply struct {
	Removed []Removed  `json:"removed"`
	Failed  []JobError `json:"failed"`
}

// PinRequest keeps jobs from being removed, or lets them go again.
type PinRequest struct {
	Jobs   []string `json:"jobs"` // whole ids
	Pinned bool     `json:"pinned"`
}

// PinReply says what became of each job that a PinRequest names.
type PinReply struct {
	Done   []string   `json:"done"`
	Failed []JobError `json:"failed"`
}

// JobError is why a request could not be met for one of its jobs.
type JobError struct {
	ID    string `json:"id"`
	Error *Error `json:"error"`
}

// Fail adds a job that stays.
func (r *RemoveReply) Fail(id string, err error) {
	r.Failed = append(r.Failed, JobError{ID: id, Error: AsError(err)})
}

// Fail adds a job that is as it was.
func (r *PinReply) Fail(id string, err error) {
	r.Failed = append(r.Failed, JobError{ID: id, Error: AsError(err)})
}

// The kinds of what GCRequest finds.
const (
	GCJob       = "job"       // over the retention
	GCWorkspace = "workspace" // no job names it
	GCPack      = "pack"      // no snapshot draws on it
	GCUpload    = "upload"    // nobody submitted it
	GCRemoved   = "removed"   // of a job that is removed, left when that was cut short
	GCBinary    = "binary"    // an executor that no process runs and that is not the current one
)

// GCRequest asks what of a host could be freed, or frees it.
type GCRequest struct {
	Age    int64 `json:"ageSeconds,omitempty"` // remove jobs that ended longer ago; 0: as the host is configured
	Size   int64 `json:"size,omitempty"`       // remove the oldest jobs until the rest takes no more bytes; 0: as the host is configured
	Remove bool  `json:"remove"`               // false: only tell
}

// GCReply is what a GCRequest found, or removed.
type GCReply struct {
	Age   int64    `json:"ageSeconds,omitempty"` // that was gone by; 0: jobs stay however old they are
	Size  int64    `json:"size,omitempty"`       // that was gone by; 0: jobs stay however much they take
	Kept  int64    `json:"kept"`                 // bytes of all that is kept for ended jobs, before
	Items []GCItem `json:"items"`
	More  bool     `json:"more,omitempty"` // there are more than one answer holds: ask again
	// Warning is why jobs stay that are older than Age, for people.
	Warning string `json:"warning,omitempty"`
}

// GCItem is one thing that could be freed, or was.
type GCItem struct {
	Kind  string     `json:"kind"`
	Name  string     `json:"name"`            // id of a job, name of a workspace, otherwise the name of a file
	Bytes int64      `json:"bytes"`           // that only it takes, as far as can be told before
	Ended *time.Time `json:"ended,omitempty"` // of a job
	Why   string     `json:"why"`             // for people
	Error *Error     `json:"error,omitempty"` // why it stays
}

// EnvironmentReport says what the login shell gives to jobs. It names variables, never values.
type EnvironmentReport struct {
	Shell   string   `json:"shell"`
	Names   []string `json:"names"`
	Path    string   `json:"path"`
	Warning string   `json:"warning,omitempty"`
	// SamePathOff is why jobs cannot see their workspace at the client's path; empty: they can.
	SamePathOff string `json:"samePathOff,omitempty"`
	// Limits are those of each job, without the ones that are not set; empty: an executor that knows none.
	Limits []LimitReport `json:"limits,omitempty"`
}

// LimitReport is one thing of which a job may use only so much on this host.
type LimitReport struct {
	Name        string `json:"name"`                  // of the key below limits in the host's config
	Value       string `json:"value"`                 // for people
	NotEnforced string `json:"notEnforced,omitempty"` // why it does not hold; empty: it does
}

// MissingRequest asks which objects the store lacks. What it has is held for Job for a day,
// or until Job is submitted, so that no sweep can take it meanwhile.
type MissingRequest struct {
	Job     string `json:"job"`
	Objects []byte `json:"objects"` // raw digests, one after another
}

// MissingReply answers in the order of the request.
type MissingReply struct {
	Missing []byte `json:"missing"` // one bit an object, lowest bit first; set: missing
}

// Submit is the first frame of a stream that submits a job, and is sent again after Missing.
// Objects the host lacks precede it: uploaded to incoming/ and named in Uploads, or inline in
// Pack frames closed by PackEnd.
type Submit struct {
	Job     json.RawMessage   `json:"job"`               // a manifest.Job; its bytes pin the job
	Bases   []manifest.Digest `json:"bases,omitempty"`   // snapshots that the host acknowledged and the new one was built on
	Uploads []string          `json:"uploads,omitempty"` // file names in incoming/
	Inline  bool              `json:"inline,omitempty"`  // Pack frames follow
	Follow  *Follow           `json:"follow,omitempty"`  // nil: detached
}

// Follow asks for what happens to a job; it is the first frame of a stream that follows, or
// rides in Submit.
type Follow struct {
	Job       string `json:"job,omitempty"` // id; empty in Submit
	Log       bool   `json:"log"`
	From      int64  `json:"from,omitempty"`      // offset in the log
	Tail      int    `json:"tail,omitempty"`      // begin that many lines before the end; 0: From counts
	Since     int64  `json:"since,omitempty"`     // Unix nanoseconds: leave out what is older
	Stream    string `json:"stream,omitempty"`    // "stdout", "stderr"; empty: both
	Once      bool   `json:"once,omitempty"`      // end at the log's present end instead of the job's
	Attach    bool   `json:"attach,omitempty"`    // this client may send Signal and Resize
	Input     string `json:"input,omitempty"`     // names this client's standard input, which takes the place of another's; empty: it sends none
	Artifacts int64  `json:"artifacts,omitempty"` // push fetched artifacts of up to so many bytes in all after Result
}

// Accepted acknowledges a job durably. It may be the second answer to the same job.
type Accepted struct {
	Job   JobInfo `json:"job"`
	Again bool    `json:"again,omitempty"` // was there already
}

// Missing answers a Submit whose snapshot is not complete: send these and submit again.
type Missing struct {
	UnknownBases []manifest.Digest `json:"unknownBases,omitempty"`
	Objects      []byte            `json:"objects,omitempty"` // raw digests; empty with UnknownBases: send all
}

// Result carries the manifest of an ended job as the bytes that are on disk, or null when they
// are too many for a frame: PathManifest has them.
type Result struct {
	Manifest json.RawMessage `json:"manifest"`
	Location string          `json:"location"` // absolute path of manifest.json on the host
	Clock    time.Time       `json:"clock"`    // the host's, now
	LogSize  int64           `json:"logSize"`
}

// ArtifactStart begins the bytes of one pushed artifact, sent in ArtifactData frames and closed by ArtifactEnd.
type ArtifactStart struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// Signal asks for a signal to the job's processes.
type Signal struct {
	Name string `json:"name"` // "INT", without SIG
}

// Resize tells the size of the terminal.
type Resize struct {
	Rows int `json:"rows"`
	Cols int `json:"cols"`
}

// StdinTake gives a job's input to the client that calls it by this name.
type StdinTake struct {
	Input string `json:"input"`
}

// StdinOwner says whose input the job takes, and from where on.
type StdinOwner struct {
	Input    string `json:"input"`
	Received int64  `json:"received"` // offset at which the owner goes on
}

// FileList answers PathFiles.
type FileList struct {
	Dir   string     `json:"dir"` // of the workspace on the host, absolute
	Files []FileInfo `json:"files"`
}

// FileInfo is a file of a workspace as it is now.
type FileInfo struct {
	Name     string    `json:"name"` // slash-separated, below the workspace
	Size     int64     `json:"size"`
	Mode     uint32    `json:"mode"` // permission bits
	Modified time.Time `json:"modified"`
}
