//go:build linux

package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/environ"
	"github.com/cyclops-fpga/cyclops/executor/joblog"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/samepath"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// TestMain lets the test's own binary play the executor, so that supervisors are real processes.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "supervise":
			os.Exit(Main(context.Background(), os.Stdin, os.Stdout))
		case "enter":
			os.Exit(samepath.Enter(os.Args[2:]))
		case "env":
			if environ.Print(os.Stdout) != nil {
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	// The race detector makes every process wait a second before it ends, so also supervisors.
	if os.Setenv("GORACE", "atexit_sleep_ms=0") != nil {
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// bench is a data directory and what runs in it.
type bench struct {
	t    testing.TB
	data layout.Data
	self string
}

func newBench(t testing.TB) *bench {
	t.Helper()
	data := layout.Data(filepath.Join(t.TempDir(), "data"))
	if err := data.Create(); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(self); err != nil {
		self = "/proc/self/exe" // another user's, whose directories are closed
	}
	return &bench{t: t, data: data, self: self}
}

// job is one job under way.
type job struct {
	*bench
	*manifest.Job
	launch  *Launch
	process *Process
	conn    net.Conn
	w       *api.FrameWriter

	mu       sync.Mutex
	hello    api.ControlHello
	states   []api.JobInfo
	size     int64
	ack      int64
	closed   bool
	closedIn string // phase
	owner    api.StdinOwner
	owners   int // how often that was said
	event    chan struct{}
	over     bool
	heard    chan struct{} // closed when nothing more comes
	missed   bool          // it had ended before anyone could connect
}

func argv(words ...string) func(*manifest.Job) {
	return func(j *manifest.Job) { j.Steps = []manifest.Step{{Argv: words}} }
}

func sh(line string) func(*manifest.Job) {
	return func(j *manifest.Job) { j.Steps = []manifest.Step{{Run: line}} }
}

// waitFor is a tool whose set-up lasts until the file is there.
func waitFor(file string) []environ.Tool {
	return []environ.Tool{{Name: "gate", Setup: "while ! test -e '" + file + "'; do sleep 0.01; done"}}
}

// make returns a job that was not started.
func (b *bench) make(options ...func(*manifest.Job)) *job {
	b.t.Helper()
	spec := &manifest.Job{
		SchemaVersion: manifest.JobVersion, MediaType: manifest.JobMediaType, ID: manifest.NewID(),
		Created: time.Now().UTC(), Workspace: manifest.Workspace{Name: "w", Mode: manifest.Isolated},
	}
	for _, o := range options {
		o(spec)
	}
	l := &Launch{Data: b.data, Self: []string{b.self}, Attempt: 1, Accepted: time.Now().UTC(), Host: "here", Store: "store", Executor: "test"}
	l.SetEnviron([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.t.TempDir()})
	if err := os.MkdirAll(b.data.Job(spec.ID), 0o700); err != nil {
		b.t.Fatal(err)
	}
	j := &job{bench: b, Job: spec, launch: l, event: make(chan struct{})}
	j.rewrite()
	return j
}

// rewrite puts the job as it is now into its launch.
func (j *job) rewrite() {
	j.t.Helper()
	doc, err := json.Marshal(j.Job)
	if err != nil {
		j.t.Fatal(err)
	}
	j.launch.Job = doc
}

// start starts a job and connects to it.
func (b *bench) start(options ...func(*manifest.Job)) *job {
	b.t.Helper()
	j := b.make(options...)
	j.begin()
	return j
}

func (j *job) begin() {
	j.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p, err := Start(ctx, j.launch, os.Stderr)
	if err != nil {
		j.t.Fatal(err)
	}
	j.process = p
	j.t.Cleanup(j.endAnyway)
	if err = j.connect(ctx); err != nil {
		if _, merr := os.Stat(j.data.Manifest(j.ID)); merr != nil {
			j.t.Fatal(err)
		}
		j.missed = true
	}
}

// connect listens to the job's supervisor until it is gone.
func (j *job) connect(ctx context.Context) (err error) {
	if j.conn, err = Dial(ctx, j.data, j.ID); err != nil {
		return err
	}
	j.w, j.heard = api.NewFrameWriter(j.conn), make(chan struct{})
	go j.listen()
	return nil
}

// endAnyway leaves nothing of a job whose test has failed.
func (j *job) endAnyway() {
	select {
	case <-j.process.done:
		return
	default:
	}
	unix.Kill(j.process.PID, unix.SIGKILL)
	<-j.process.done
	if _, err := KillMarked(context.Background(), j.data, j.ID); err != nil {
		j.t.Error(err)
	}
}

func (j *job) listen() {
	defer close(j.heard)
	buf := make([]byte, 4096)
	for {
		f, err := api.ReadFrame(j.conn, buf)
		j.mu.Lock()
		switch {
		case err != nil:
			j.over = true
		case f.Type == api.FrameControl:
			f.JSON(&j.hello)
		case f.Type == api.FrameState:
			var info api.JobInfo
			f.JSON(&info)
			j.states = append(j.states, info)
		case f.Type == api.FrameGrew:
			j.size, _, _ = f.Offset()
		case f.Type == api.FrameStdinAck:
			j.ack, _, _ = f.Offset()
		case f.Type == api.FrameStdinOwner:
			f.JSON(&j.owner)
			j.owners++
		case f.Type == api.FrameStdinClosed:
			j.closed = true
			if len(j.states) > 0 {
				j.closedIn = j.states[len(j.states)-1].Phase
			}
		case f.Type == api.FrameError:
			j.t.Errorf("supervisor says %s", f.Payload)
		}
		close(j.event)
		j.event = make(chan struct{})
		j.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// await waits until cond holds; it is looked at after every frame.
func (j *job) await(what string, cond func() bool) {
	j.t.Helper()
	late := time.After(patience)
	for {
		j.mu.Lock()
		ok, over, event := cond(), j.over, j.event
		j.mu.Unlock()
		if ok {
			return
		}
		if over {
			j.t.Fatalf("the job ended before %s", what)
		}
		select {
		case <-event:
		case <-late:
			j.t.Fatalf("%v passed before %s", patience, what)
		}
	}
}

func (j *job) phase(name string) func() bool {
	return func() bool { return len(j.states) > 0 && j.states[len(j.states)-1].Phase == name }
}

// end waits for the job's end and returns its manifest.
func (j *job) end() *manifest.Manifest {
	j.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- j.process.Wait(context.Background()) }()
	select {
	case err := <-ended:
		if err != nil {
			j.t.Fatalf("supervisor: %v", err)
		}
	case <-time.After(patience):
		j.t.Fatalf("the job did not end within %v", patience)
	}
	j.hearOut()
	data, err := os.ReadFile(j.data.Manifest(j.ID))
	if err != nil {
		j.t.Fatal(err)
	}
	m, err := manifest.DecodeManifest(data)
	if err != nil {
		j.t.Fatal(err)
	}
	return m
}

// hearOut waits until all is taken in that the supervisor, which is gone, had sent.
func (j *job) hearOut() {
	j.t.Helper()
	if j.conn == nil {
		return
	}
	select {
	case <-j.heard:
	case <-time.After(patience):
		j.t.Fatalf("its connection stayed open for %v after the supervisor", patience)
	}
	j.conn.Close()
}

// text returns what is in the log of one stream, or of all.
func (j *job) text(stream uint8) string {
	j.t.Helper()
	r, err := joblog.Open(j.data, j.ID)
	if err != nil {
		j.t.Fatal(err)
	}
	defer r.Close()
	size, err := r.Size()
	if err != nil {
		j.t.Fatal(err)
	}
	var b strings.Builder
	if err := r.Copy(&b, size, stream); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		j.t.Fatal(err)
	}
	return b.String()
}

func (j *job) cancelNow(grace float64) {
	j.t.Helper()
	if err := j.w.JSON(api.FrameCancel, api.CancelRequest{GraceSecs: grace, Reason: "a test asked"}); err != nil {
		j.t.Fatal(err)
	}
}

// run runs a job to its end.
func (b *bench) run(options ...func(*manifest.Job)) (*job, *manifest.Manifest) {
	b.t.Helper()
	j := b.start(options...)
	return j, j.end()
}

// left returns the processes that a job left behind.
func (j *job) left() []int {
	j.t.Helper()
	pids, err := processes(0, j.ID)
	if err != nil {
		j.t.Fatal(err)
	}
	return pids
}

func wantExit(t *testing.T, m *manifest.Manifest, state manifest.State, code int) {
	t.Helper()
	got := "none"
	if m.ExitCode != nil {
		got = fmt.Sprint(*m.ExitCode)
	}
	if m.State != state || got != fmt.Sprint(code) {
		t.Errorf("%s with exit code %s (signal %q, reason %q), want %s with %d", m.State, got, m.Signal, m.Reason, state, code)
	}
}
