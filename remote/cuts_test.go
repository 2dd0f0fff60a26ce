//go:build linux

package remote_test

import (
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote"
	"github.com/cyclops-fpga/cyclops/remote/retry"
)

// cutting takes a line away again and again, by what goes through it. Every freeze lasts until a
// little after it was noticed.
type cutting struct {
	*lab
	random  *rand.Rand
	mean    int64 // bytes between cuts
	p       *retry.Patience
	total   int // of both
	freezes int

	mu       sync.Mutex
	resets   int
	frozen   int
	away     bool      // contact is lost
	left     time.Time // when it was
	apart    time.Duration
	back     *time.Timer
	since    time.Time // the line is frozen or was just thawed
	noticed  time.Duration
	resumed  time.Duration
	lost     atomic.Int64
	finished chan struct{} // closed when the last cut was made
}

func newCutting(l *lab, resets, freezes int, mean int64) *cutting {
	c := &cutting{lab: l, random: rand.New(rand.NewPCG(1, 2)), mean: mean, total: resets + freezes, freezes: freezes, finished: make(chan struct{})}
	c.p = &retry.Patience{Limit: time.Minute, Lost: c.whenLost, Back: c.whenBack}
	return c
}

func (c *cutting) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line.OnBytes(1+c.random.Int64N(2*c.mean), c.cut)
}

// cut is one cut; the freezes lie evenly among the resets.
func (c *cutting) cut() {
	c.mu.Lock()
	n := c.resets + c.frozen
	freeze := c.freezes > 0 && n%(c.total/c.freezes) == c.total/c.freezes/2
	switch {
	case n == c.total:
		close(c.finished)
		c.mu.Unlock()
		return
	case freeze:
		c.frozen++
		c.since = time.Now()
		c.line.Freeze()
		limit := 6 * time.Second // nobody noticed
		if c.away {
			limit = time.Second // nobody can: there was no contact
		}
		c.thaw(limit)
	default:
		c.resets += min(1, c.line.Reset())
	}
	c.mu.Unlock()
	c.begin()
}

func (c *cutting) whenLost(error) {
	c.lost.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away, c.left = true, time.Now()
	if c.since.IsZero() {
		return
	}
	c.noticed = max(c.noticed, time.Since(c.since))
	c.thaw(300 * time.Millisecond)
}

// thaw gives the line back after a while. c.mu is held.
func (c *cutting) thaw(after time.Duration) {
	if c.back != nil {
		c.back.Stop()
	}
	c.back = time.AfterFunc(after, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.since = time.Now()
		c.line.Thaw()
	})
}

func (c *cutting) whenBack() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.since.IsZero() {
		c.resumed = max(c.resumed, time.Since(c.since))
	}
	c.since, c.away = time.Time{}, false
	c.apart += time.Since(c.left)
}

// figures says what happened, and makes sure of what is promised.
func (c *cutting) figures(took time.Duration) {
	c.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Logf("%d resets and %d silent cuts in %v: %d connections, lost %d times, silence noticed in at most %v, resumed in at most %v, without contact for %v, %d MB through the line",
		c.resets, c.frozen, took.Round(time.Millisecond), c.line.Accepted(), c.lost.Load(), c.noticed.Round(time.Millisecond), c.resumed.Round(time.Millisecond), c.apart.Round(time.Millisecond), c.line.Bytes()>>20)
	if c.noticed > 5*time.Second || c.resumed > 2*time.Second {
		c.Errorf("silence was noticed in %v and contact resumed in %v", c.noticed, c.resumed)
	}
}

// long tells whether to run the long form of a test: see make cuts.
func long() bool { return os.Getenv("CYCLOPS_LONG") != "" }

// TestLogThroughCuts follows one log while its line is cut again and again: no gap, no byte twice.
func TestLogThroughCuts(t *testing.T) {
	t.Parallel()
	size, resets, freezes := int64(24<<20), 80, 1
	if long() {
		size, resets, freezes = 1<<30, 10_000, 20
	}
	l := newLab(t)
	c := newCutting(l, resets, freezes, size/int64(resets)/2)
	began := time.Now()
	a := l.submit(job(program(t), "pour", strconv.FormatInt(size, 10)), c.p)
	h := sha256.New()
	var at int64
	c.begin()
	result, err := a.Run(t.Context(), remote.Handler{Log: func(chunk api.LogChunk) error {
		if chunk.Offset != at {
			t.Errorf("byte %d came after byte %d", chunk.Offset, at)
		}
		at += int64(len(chunk.Data))
		_, err := h.Write(chunk.Data)
		return err
	}})
	c.figures(time.Since(began))
	l.ended(result, err, manifest.Succeeded)
	if at != size || sumOf(h) != sumOfNoise(t, size) || a.Offset() != size {
		t.Errorf("%d bytes of %d came, digest %s", at, size, sumOf(h))
	}
	select {
	case <-c.finished:
	default:
		if c.resets+c.frozen < resets+freezes {
			t.Errorf("the log was over after %d resets and %d freezes", c.resets, c.frozen)
		}
	}
}

// TestInputThroughCuts sends an input while its line is cut: the job reads it as it is.
func TestInputThroughCuts(t *testing.T) {
	t.Parallel()
	size, resets := int64(6<<20), 40
	if long() {
		size, resets = 20<<20, 400
	}
	l := newLab(t)
	c := newCutting(l, resets, 0, size/int64(resets)/2)
	j := job("sha256sum")
	j.Stdin = true
	began := time.Now()
	a := l.submit(j, c.p)
	sent := make(chan error, 1)
	go func() {
		in := a.Stdin()
		_, err := io.CopyN(in, noise(), size)
		if cerr := in.Close(); err == nil {
			err = cerr
		}
		sent <- err
	}()
	c.begin()
	var out strings.Builder
	result, err := a.Run(t.Context(), remote.Handler{Log: func(chunk api.LogChunk) error { out.Write(chunk.Data); return nil }})
	c.figures(time.Since(began))
	l.ended(result, err, manifest.Succeeded)
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if got := strings.Fields(out.String()); len(got) == 0 || got[0] != sumOfNoise(t, size) {
		t.Errorf("the job read %q, want %s", out.String(), sumOfNoise(t, size))
	}
}

// until runs a to its end and returns a channel that is closed when the log holds word.
func (l *lab) until(a *remote.Attachment, word string) (seen chan struct{}, ended chan *api.Result, text *strings.Builder) {
	seen, ended, text = make(chan struct{}), make(chan *api.Result, 1), new(strings.Builder)
	go func() {
		result, err := a.Run(l.Context(), remote.Handler{Log: func(chunk api.LogChunk) error {
			before := strings.Contains(text.String(), word)
			text.Write(chunk.Data)
			if !before && strings.Contains(text.String(), word) {
				close(seen)
			}
			return nil
		}})
		if err != nil {
			l.Error(err)
		}
		ended <- result
	}()
	return seen, ended, text
}

// TestSignalDuringACutArrives: also one that was sent into a line that was dead already.
func TestSignalDuringACutArrives(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(*lab){
		"frozen": func(l *lab) { l.line.Freeze() },
		"down":   func(l *lab) { l.line.Down() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			lost := make(chan struct{}, 1)
			p := &retry.Patience{Lost: func(error) { lost <- struct{}{} }}
			a := l.submit(job("sh", "-c", `trap 'echo heard; exit 3' USR1; echo ready; while :; do sleep 0.05; done`), p)
			ready, ended, text := l.until(a, "ready\n")
			<-ready
			cut(l)
			if err := a.Signal("USR1"); err != nil {
				t.Fatal(err)
			}
			<-lost
			l.line.Thaw()
			l.line.Up()
			l.ended(<-ended, nil, manifest.Failed)
			if got := text.String(); strings.Count(got, "heard") != 1 { // the shell tells of its sleep, too
				t.Errorf("said %q", got)
			}
		})
	}
}

// daemon is the pid of the host's daemon.
func (l *lab) daemon() int {
	l.Helper()
	h, err := l.Hello(l.Context())
	if err != nil {
		l.Fatal(err)
	}
	return h.PID
}

// TestDaemonKilledMeanwhile: it is started again by whoever asks for it, and the job goes on.
func TestDaemonKilledMeanwhile(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := &retry.Patience{Limit: time.Minute}
	j := job("sh", "-c", `echo ready; read line; echo "got $line"`)
	j.Stdin = true
	a := l.submit(j, p)
	ready, ended, text := l.until(a, "ready\n")
	<-ready
	if err := syscall.Kill(l.daemon(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(a.Stdin(), "word\n"); err != nil {
		t.Fatal(err)
	}
	l.ended(<-ended, nil, manifest.Succeeded)
	if got := text.String(); got != "ready\ngot word\n" {
		t.Errorf("said %q", got)
	}
}

// TestStoppedDaemonIsNoticed: its socket takes connections, and nothing answers.
func TestStoppedDaemonIsNoticed(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	lost, back := make(chan time.Time, 8), make(chan time.Time, 8)
	p := &retry.Patience{Lost: func(error) { lost <- time.Now() }, Back: func() { back <- time.Now() }}
	a := l.submit(job("sh", "-c", "echo ready; sleep 8; echo over"), p)
	ready, ended, text := l.until(a, "ready\n")
	<-ready
	pid := l.daemon()
	began := time.Now()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	if took := (<-lost).Sub(began); took > 5*time.Second {
		t.Errorf("noticed after %v", took)
	}
	began = time.Now()
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if took := (<-back).Sub(began); took > 2*time.Second {
		t.Errorf("went on after %v", took)
	}
	l.ended(<-ended, nil, manifest.Succeeded)
	if got := text.String(); got != "ready\nover\n" {
		t.Errorf("said %q", got)
	}
}

// TestSubmitAnsweredInVain: a submit whose answer the line lost is sent again, and there is one job.
func TestSubmitAnsweredInVain(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := &retry.Patience{Limit: time.Minute}
	p.Alive()
	for n := range 12 {
		l.line.OnBytes(int64(100*n), func() { l.line.Reset() })
		a := l.submit(job("echo", "once"), p)
		var out strings.Builder
		result, err := a.Run(t.Context(), remote.Handler{Log: func(c api.LogChunk) error { out.Write(c.Data); return nil }})
		l.ended(result, err, manifest.Succeeded)
		if out.String() != "once\n" {
			t.Errorf("said %q", out.String())
		}
	}
	page, err := l.List(t.Context(), remote.ListOptions{Limit: 100})
	if err != nil || len(page.Jobs) != 12 {
		t.Errorf("%v: %d jobs, want 12", err, len(page.Jobs))
	}
}

// TestPatienceUsedUp ends as a loss of contact, whatever the last attempt said.
func TestPatienceUsedUp(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := &retry.Patience{Limit: 2 * time.Second}
	a := l.submit(job("sleep", "30"), p)
	l.line.Down()
	began := time.Now()
	_, err := a.Run(t.Context(), remote.Handler{})
	if took := time.Since(began); api.KindOf(err) != api.LostContact || took < 2*time.Second || took > 5*time.Second {
		t.Errorf("%v after %v", err, took)
	}
}
