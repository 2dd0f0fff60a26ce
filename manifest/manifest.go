package manifest

import "time"

// Version and MediaType name the version of the Manifest document that this code writes.
const (
	Version   = 1
	MediaType = "application/vnd.cyclops.manifest.v1+json"
)

// Manifest is the record of a job that has ended. Given its location alone, every file of
// the job can be found: artifact paths are relative to the manifest's own directory.
type Manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Job           string            `json:"job"` // the job's id
	Name          string            `json:"name,omitempty"`
	Project       string            `json:"project,omitempty"`
	Labels        map[string]string `json:"labels,omitempty"`
	Owner         string            `json:"owner,omitempty"`
	Host          string            `json:"host"`     // the host's own name for itself
	Store         string            `json:"store"`    // id of the executor's data directory
	Executor      string            `json:"executor"` // its version

	State    State      `json:"state"`
	ExitCode *int       `json:"exitCode,omitempty"` // absent when a signal ended it or it never started
	Signal   string     `json:"signal,omitempty"`   // "KILL", without SIG
	Reason   string     `json:"reason,omitempty"`   // why it did not succeed, for people
	Created  time.Time  `json:"created"`            // by the client's clock
	Accepted time.Time  `json:"accepted"`           // this and the following by the host's clock
	Started  *time.Time `json:"started,omitempty"`
	Ended    time.Time  `json:"ended"`

	Steps       []StepRecord     `json:"steps"`
	Dir         string           `json:"dir,omitempty"`
	Terminal    bool             `json:"terminal,omitempty"` // it ran on one, so that its log knows no stderr
	Home        Home             `json:"home,omitempty"`
	Beside      string           `json:"beside,omitempty"` // id of the job in whose workspace it ran
	Workspace   WorkspaceRecord  `json:"workspace"`
	Input       InputRecord      `json:"input"`
	Environment []VariableRecord `json:"environment,omitempty"`
	Tools       []ToolRecord     `json:"tools,omitempty"`
	Resources   Resources        `json:"resources"`

	Artifacts []Artifact    `json:"artifacts"`
	Missing   []string      `json:"missing,omitempty"` // output globs that nothing matched
	Stale     []StaleOutput `json:"stale,omitempty"`   // output globs that only older files matched
	Refused   []Refusal     `json:"refused,omitempty"` // files that cannot be outputs
	// ChangedInputs are inputs that the job rewrote and that are no artifacts: the next run
	// restores them.
	ChangedInputs []string       `json:"changedInputs,omitempty"`
	Upstream      []Upstream     `json:"upstream,omitempty"`
	Usage         Usage          `json:"usage"`
	Metrics       map[string]any `json:"metrics,omitempty"` // what tools report of their work
	Extra         map[string]any `json:"extra,omitempty"`
}

// StepRecord says what became of one step.
type StepRecord struct {
	Name     string     `json:"name,omitempty"`
	Argv     []string   `json:"argv,omitempty"`
	Run      string     `json:"run,omitempty"`
	Started  *time.Time `json:"started,omitempty"` // absent: never started
	Ended    *time.Time `json:"ended,omitempty"`
	ExitCode *int       `json:"exitCode,omitempty"`
	Signal   string     `json:"signal,omitempty"`
}

// WorkspaceRecord says where the job ran.
type WorkspaceRecord struct {
	Name string        `json:"name"`
	Mode WorkspaceMode `json:"mode"`
	Path string        `json:"path"` // absolute, on the host
	// Seen is the path at which the job saw it, where that is not Path.
	Seen string `json:"seen,omitempty"`
	// NotSeen is why the job did not see it at the path that was asked for.
	NotSeen string `json:"notSeen,omitempty"`
}

// InputRecord says what the job worked on. Pinned is false when other jobs could change
// the workspace meanwhile.
type InputRecord struct {
	Snapshot Digest `json:"snapshot,omitempty"`
	Files    int64  `json:"files"`
	Bytes    int64  `json:"bytes"`
	Git      *Git   `json:"git,omitempty"`
	Pinned   bool   `json:"pinned"`
}

// VariableRecord names a variable that the job's owner set; its value only if marked public.
type VariableRecord struct {
	Name  string  `json:"name"`
	Value *string `json:"value,omitempty"`
}

// ToolRecord names a tool environment and the set-up line that the host's config gives it.
type ToolRecord struct {
	Name  string `json:"name"`
	Setup string `json:"setup,omitempty"`
}

// Resources says what the job asked for and what it held.
type Resources struct {
	Asked  map[string]int      `json:"asked,omitempty"`
	Leased map[string][]string `json:"leased,omitempty"` // resource → the names or count held
}

// Kind tells what an artifact is for.
type Kind string

// The kinds of artifacts.
const (
	KindOutput    Kind = "output"
	KindReport    Kind = "report"
	KindBitstream Kind = "bitstream"
	KindLog       Kind = "log"
	KindLogIndex  Kind = "log-index"
	KindSymlink   Kind = "symlink"
)

// Artifact is a file that the manifest lists.
type Artifact struct {
	Name      string `json:"name"` // where a local run would have put it, slash-separated, below the root
	Path      string `json:"path"` // where it is, relative to the manifest
	Kind      Kind   `json:"kind"`
	MediaType string `json:"mediaType"`
	Size      int64  `json:"size"` // bytes
	Digest    Digest `json:"digest"`
	Mode      uint32 `json:"mode"`             // permission bits
	Fresh     bool   `json:"fresh"`            // written by this job
	Fetch     bool   `json:"fetch,omitempty"`  // comes back by itself
	Target    string `json:"target,omitempty"` // of a symlink
	// Volatile: Path leads into a workspace that later jobs may change; the digest tells.
	Volatile bool      `json:"volatile,omitempty"`
	Modified time.Time `json:"modified,omitzero"` // by the host's clock
	// Changed is when the host's file system last saw a change, where several jobs write side by side: it tells
	// which of two versions is the later one.
	Changed time.Time `json:"changed,omitzero"`
}

// OwnLog tells whether a is the log that Cyclops kept of the job, or its index; a log that a tool
// wrote into a file is an output like others.
func (a *Artifact) OwnLog() bool { return a.Path == "log" || a.Path == "log.idx" }

// StaleOutput is an output glob that only files of earlier jobs matched.
type StaleOutput struct {
	Pattern string   `json:"pattern"`
	Paths   []string `json:"paths"`
}

// Refusal is a file that matched an output but cannot be one.
type Refusal struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Upstream is the manifest of a job that this one came after or drew on.
type Upstream struct {
	Job      string `json:"job"`
	Location string `json:"location"`
	Digest   Digest `json:"digest,omitempty"`
}

// Usage is what the job cost.
type Usage struct {
	WallSeconds     float64 `json:"wallSeconds"`
	CPUSeconds      float64 `json:"cpuSeconds"`
	PeakMemoryBytes int64   `json:"peakMemoryBytes"` // largest resident set of any one process
	LogBytes        int64   `json:"logBytes"`
	OutputBytes     int64   `json:"outputBytes"`
}
