package manifest

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"time"
	"unicode/utf8"
)

// JobVersion and JobMediaType name the version of the Job document that this code writes.
const (
	JobVersion   = 1
	JobMediaType = "application/vnd.cyclops.job.v1+json"
)

// Priority orders the queue; first come first served within one.
type Priority string

// The priorities, from the first served to the last.
const (
	Interactive Priority = "interactive"
	Normal      Priority = "normal"
	Low         Priority = "low"
)

// Rank returns 0 for what is served first; unknown words rank as Normal.
func (p Priority) Rank() int {
	switch p {
	case Interactive:
		return 0
	case Low:
		return 2
	}
	return 1
}

// WorkspaceMode says how a job shares its workspace.
type WorkspaceMode string

// The modes of a workspace.
const (
	Kept       WorkspaceMode = "kept"       // named, kept between runs, one job at a time
	Isolated   WorkspaceMode = "isolated"   // fresh, of this job alone
	Concurrent WorkspaceMode = "concurrent" // named, several jobs at once, inputs not pinned
)

// Job is what a client asks an executor to do: one command or a few named steps, with
// inputs, resources and outputs. It is written once, by the client, and never changes.
type Job struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ID            string            `json:"id"`
	Name          string            `json:"name,omitempty"`    // of the job in cyclops.toml, or --name
	Project       string            `json:"project,omitempty"` // name of the tree it came from
	Labels        map[string]string `json:"labels,omitempty"`
	Owner         string            `json:"owner,omitempty"` // user@machine of the client
	Created       time.Time         `json:"created"`
	Steps         []Step            `json:"steps"`
	Dir           string            `json:"dir,omitempty"` // where it starts, slash-separated below the workspace
	Input         Input             `json:"input"`
	Workspace     Workspace         `json:"workspace"`
	Env           []Variable        `json:"env,omitempty"`
	Tools         []string          `json:"tools,omitempty"` // named tool environments, set up in this order
	Needs         map[string]int    `json:"needs,omitempty"` // resource → amount
	Priority      Priority          `json:"priority,omitempty"`
	After         []string          `json:"after,omitempty"`          // ids of jobs that must have succeeded
	TimeoutSecs   float64           `json:"timeoutSeconds,omitempty"` // 0: none
	GraceSecs     float64           `json:"graceSeconds,omitempty"`   // between TERM and KILL; 0: the default of 10 s
	Outputs       Outputs           `json:"outputs"`
	Stdin         bool              `json:"stdin,omitempty"`    // a client will send it; otherwise it is empty
	Terminal      *Terminal         `json:"terminal,omitempty"` // nil: pipes
	SamePath      *SamePath         `json:"samePath,omitempty"` // nil: the job sees its workspace where the host keeps it
	Home          Home              `json:"home,omitempty"`
	SetUID        bool              `json:"setUid,omitempty"` // it runs set-uid programs, which no namespace of its own allows
	Beside        string            `json:"beside,omitempty"` // id of a job in whose workspace and environment this one runs: no inputs, outputs, slot
	RetryOf       string            `json:"retryOf,omitempty"`
}

// Terminal asks for a pseudo-terminal instead of pipes.
type Terminal struct {
	Term string `json:"term"` // $TERM of the client
	Rows int    `json:"rows"`
	Cols int    `json:"cols"`
}

// SamePath asks that the job sees its workspace at the path that the tree has on the client.
type SamePath struct {
	Root    string `json:"root"`              // absolute, on the client
	Require bool   `json:"require,omitempty"` // fail where it cannot be had
}

// Home says which home directory a job gets.
type Home string

// The homes of a job.
const (
	UserHome    Home = ""        // the host user's own
	PrivateHome Home = "private" // an empty one of this job alone
)

// Step is a named phase of a job. Exactly one of Argv (run as it is, no shell) and Run
// (given to /bin/sh -c) is set. A job of one command has one step without a name.
type Step struct {
	Name string   `json:"name,omitempty"`
	Argv []string `json:"argv,omitempty"`
	Run  string   `json:"run,omitempty"`
	// ArgvRaw takes the place of Argv where a word is no UTF-8, which JSON cannot carry.
	ArgvRaw [][]byte `json:"argvRaw,omitempty"`
}

// StepOf returns a step that runs argv as it is.
func StepOf(argv []string) Step {
	s := Step{Argv: argv}
	if slices.ContainsFunc(argv, func(word string) bool { return !utf8.ValidString(word) }) {
		for _, word := range argv {
			s.ArgvRaw = append(s.ArgvRaw, []byte(word))
		}
	}
	return s
}

// Words returns the command as it is to run; nothing for a step that a shell runs.
func (s *Step) Words() []string {
	if len(s.ArgvRaw) == 0 {
		return s.Argv
	}
	words := make([]string, len(s.ArgvRaw))
	for i, word := range s.ArgvRaw {
		words[i] = string(word)
	}
	return words
}

// Input pins what a job works on.
type Input struct {
	Snapshot Digest `json:"snapshot,omitempty"` // none with --bare
	Files    int64  `json:"files,omitempty"`
	Bytes    int64  `json:"bytes,omitempty"`
	Git      *Git   `json:"git,omitempty"`
}

// Git says which commit the tree stood on, and what of it was in no commit.
type Git struct {
	Commit string `json:"commit,omitempty"`
	Branch string `json:"branch,omitempty"`
	Dirty  bool   `json:"dirty"` // something in the repository differed from the commit, in the tree or not
	// Changed are the files of the tree that did: changed, removed, or new and not ignored. Slash-separated below the
	// root, sorted, what is no UTF-8 as U+FFFD; a directory of which nothing is in a commit ends in a slash. Only the
	// first: at most 100, of 16 KiB together. Documents older than the field lack it.
	Changed      []string `json:"changed,omitempty"`
	ChangedCount int      `json:"changedCount,omitempty"` // how many they are in all
}

// Workspace names the directory on the host that a job runs in.
type Workspace struct {
	Name string        `json:"name"`
	Mode WorkspaceMode `json:"mode"`
}

// Variable is one environment variable. Its value enters a manifest only if Public.
type Variable struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Public bool   `json:"public,omitempty"`
}

// Outputs says which files come back. With neither Fetch nor Keep, every file that the
// job made or changed is an output.
type Outputs struct {
	Fetch   []string `json:"fetch,omitempty"`   // globs, relative to the workspace; come back by themselves
	Keep    []string `json:"keep,omitempty"`    // globs; stay on the host, listed
	Exclude []string `json:"exclude,omitempty"` // globs; never outputs (.cyclopsignore)
	Limit   int64    `json:"limit,omitempty"`   // bytes that come back undeclared; 0: the default of 64 MiB
}

// DefaultOutputLimit is how many bytes of undeclared outputs come back by themselves.
const DefaultOutputLimit = 64 << 20

// Validate reports the first thing that makes j impossible to run.
func (j *Job) Validate() error {
	if !ValidID(j.ID) {
		return fmt.Errorf("job id %q is not %d base32 characters", j.ID, IDLength)
	}
	if len(j.Steps) == 0 {
		return fmt.Errorf("job %s has no command", j.ID)
	}
	for i, s := range j.Steps {
		if (len(s.Argv) == 0) == (s.Run == "") || len(s.ArgvRaw) > 0 && len(s.ArgvRaw) != len(s.Argv) {
			return fmt.Errorf("step %d of job %s must have either argv or run", i+1, j.ID)
		}
	}
	if !ValidWorkspaceName(j.Workspace.Name) {
		return fmt.Errorf("workspace name %q may hold only letters, digits, '.', '_' and '-'", j.Workspace.Name)
	}
	switch j.Workspace.Mode {
	case Kept, Isolated, Concurrent:
	default:
		return fmt.Errorf("workspace mode %q is unknown", j.Workspace.Mode)
	}
	if j.Dir != "" && (!filepath.IsLocal(j.Dir) || path.Clean(j.Dir) != j.Dir) {
		return fmt.Errorf("directory %q leaves the workspace", j.Dir)
	}
	if j.SamePath != nil && (!path.IsAbs(j.SamePath.Root) || path.Clean(j.SamePath.Root) != j.SamePath.Root) {
		return fmt.Errorf("the tree's path %q is not absolute and clean", j.SamePath.Root)
	}
	if j.Home != UserHome && j.Home != PrivateHome {
		return fmt.Errorf("home %q is unknown", j.Home)
	}
	if j.Beside != "" && !ValidID(j.Beside) {
		return fmt.Errorf("%q, beside which job %s is to run, is no job id", j.Beside, j.ID)
	}
	for _, v := range j.Env {
		if !ValidVariableName(v.Name) {
			return fmt.Errorf("%q is no name of an environment variable", v.Name)
		}
	}
	return nil
}

// SetEnv sets a variable; a later one of the same name takes the place of an earlier one.
func (j *Job) SetEnv(v Variable) {
	for i := range j.Env {
		if j.Env[i].Name == v.Name {
			j.Env[i] = v
			return
		}
	}
	j.Env = append(j.Env, v)
}

// ValidWorkspaceName tells whether s can name a workspace: it becomes a directory's name.
func ValidWorkspaceName(s string) bool {
	if s == "" || len(s) > 120 || s[0] == '.' || s[0] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if !isWordByte(c) && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

// ValidVariableName tells whether s can name an environment variable.
func ValidVariableName(s string) bool {
	for _, c := range []byte(s) {
		if c == '=' || c <= ' ' || c == 0x7f {
			return false
		}
	}
	return s != ""
}

func isWordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
