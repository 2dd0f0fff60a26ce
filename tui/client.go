package tui

import (
	"context"
	"os/exec"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// Client is all that the screen asks of the hosts. Its calls may take long; only commands make
// them. Its channels end with their context.
type Client interface {
	// Hosts are this machine and those of the user's config.
	Hosts() []Host
	// Watch tells of a host's jobs and load whenever they change, and of failures.
	Watch(ctx context.Context, host string) <-chan Event
	// Jobs returns a page of a host's jobs, newest first.
	Jobs(ctx context.Context, host string, ask Ask) (api.JobPage, error)
	// Record returns all that is known of a job but its state.
	Record(ctx context.Context, ref Ref) (Record, error)
	// LogPage returns a part of a log, LogFind what it has of something, Follow what is added behind from.
	LogPage(ctx context.Context, ref Ref, part LogPart) (LogPage, error)
	LogFind(ctx context.Context, ref Ref, search LogSearch) (api.LogFound, error)
	Follow(ctx context.Context, ref Ref, from int64) <-chan Chunk
	// Peek returns the beginning of an artifact.
	Peek(ctx context.Context, ref Ref, a manifest.Artifact, most int64) ([]byte, error)
	// Verify reads artifacts on their host and tells of each whether it is what the manifest says.
	Verify(ctx context.Context, ref Ref, told func(name string, err error)) error
	// Fetch brings artifacts to where the verb brings them; no names means what comes by itself.
	Fetch(ctx context.Context, ref Ref, names []string, told func(Progress)) (outcome string, err error)
	// SaveLog writes a log, or one stream of it, to a new file.
	SaveLog(ctx context.Context, ref Ref, stream, path string, told func(Progress)) error
	// Verb does what a verb of the command line does, and returns what it says.
	Verb(ctx context.Context, words ...string) (said string, err error)
	// Terminal is a verb that needs the terminal for itself.
	Terminal(words ...string) *exec.Cmd
	// Shell is the user's own shell in a directory of this machine.
	Shell(dir string) *exec.Cmd
	// Tree is where a job came from on this machine, or empty.
	Tree(ref Ref) string
}

// Host is a host as the config has it.
type Host struct {
	Name    string
	Address string
	Default bool // what run chooses when nothing names a host
}

// Ref names a job on a host.
type Ref struct{ Host, ID string }

// String is the reference that every verb takes.
func (r Ref) String() string { return r.Host + "/" + r.ID }

// Event is what became known of a host: news, or why there is no contact.
type Event struct {
	News  api.News
	Hello *api.Hello // at first, and when contact is back
	First bool       // the jobs of News are all that have not ended
	Err   error
	Retry time.Duration // until contact is sought again
}

// Ask says which jobs of a host are wanted, of those that its index has.
type Ask struct {
	Query  Query
	Before int64 // only jobs accepted before this one, by number; 0: the newest
	After  *int64
	Limit  int
}

// Record is what a job's documents say.
type Record struct {
	Spec     *manifest.Job      // as it was submitted; nil: its host does not tell
	Manifest *manifest.Manifest // nil: it has not ended
}

// LogPart says which part of a log is wanted.
type LogPart struct {
	From   int64
	Back   int // begin that many lines before From
	Limit  int // bytes
	Stream string
}

// LogPage is a part of a log.
type LogPage struct {
	Chunks []api.LogChunk
	api.LogPage
}

// LogSearch says what to look for in a log.
type LogSearch struct {
	Text     string
	Problems bool
	From     int64
	Backward bool
	Stream   string // "stdout", "stderr"; empty: any
	Count    bool   // how many there are, and where the first Max are
	Max      int
}

// Chunk is a piece that was added to a log, or the news that contact is lost.
type Chunk struct {
	api.LogChunk
	Err  error
	Over bool // nothing comes any more, because of Err
}

// Progress is how far something is that takes long.
type Progress struct{ Done, Total int64 }
