//go:build linux

package supervise

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

func withStdin(j *manifest.Job) { j.Stdin = true }

// send sends data as a client does, within its credit, and returns how much it could send
// before the job took no more.
func (j *job) send(data []byte, end bool) int {
	j.t.Helper()
	sent := 0
	for sent < len(data) {
		j.await("there was credit", func() bool { return j.closed || j.ack+api.StdinWindow > int64(sent) })
		j.mu.Lock()
		closed, credit := j.closed, int(j.ack)+api.StdinWindow-sent
		j.mu.Unlock()
		if closed {
			return sent
		}
		n := min(credit, len(data)-sent, 40<<10)
		if j.w.Offset(api.FrameStdin, int64(sent), data[sent:sent+n]) != nil {
			return sent
		}
		sent += n
	}
	if end {
		j.w.Offset(api.FrameStdinEnd, int64(sent), nil)
	}
	return sent
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestInputArrivesWholeWithItsEnd(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, api.StdinWindow, 3<<20 + 7} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			data := randomBytes(n)
			j := newBench(t).start(sh("sha256sum; echo end"), withStdin)
			if sent := j.send(data, true); sent != n {
				t.Errorf("%d of %d bytes were taken", sent, n)
			}
			m := j.end()
			wantExit(t, m, manifest.Succeeded, 0)
			if want := fmt.Sprintf("%x  -\nend\n", sha256.Sum256(data)); j.text(0) != want {
				t.Errorf("log %q, want %q", j.text(0), want)
			}
		})
	}
}

func TestInputComesBackAsOutput(t *testing.T) {
	t.Parallel()
	data := randomBytes(1 << 20)
	j := newBench(t).start(argv("cat"), withStdin)
	j.send(data, true)
	wantExit(t, j.end(), manifest.Succeeded, 0)
	if !bytes.Equal([]byte(j.text(api.Stdout)), data) {
		t.Error("cat gave back something else")
	}
}

func TestInputThatNobodyReads(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"ends":   "echo up; sleep 0.3",
		"closes": "echo up; exec <&-; sleep 0.3",
		"some":   "head -c 100000 | wc -c",
		"once":   "true",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newBench(t).make(sh(line), withStdin)
			j.begin()
			if j.missed {
				return
			}
			sent := j.sendUntilOver(randomBytes(10 << 20))
			wantExit(t, j.end(), manifest.Succeeded, 0)
			if sent > 1<<20 {
				t.Errorf("%d bytes were taken by a job that reads none", sent)
			}
			j.mu.Lock()
			defer j.mu.Unlock()
			if !j.closed {
				t.Error("the client was not told that the job takes no more")
			}
		})
	}
}

// sendUntilOver sends all it can and returns when the job takes no more.
func (j *job) sendUntilOver(data []byte) int {
	j.t.Helper()
	sent := 0
	for {
		j.mu.Lock()
		over, event, credit := j.closed || j.over, j.event, int(j.ack)+api.StdinWindow-sent
		j.mu.Unlock()
		if over {
			return sent
		}
		if credit == 0 {
			<-event
			continue
		}
		if j.w.Offset(api.FrameStdin, int64(sent), data[sent:sent+credit]) != nil {
			return sent
		}
		sent += credit
	}
}

func TestStepsShareOneInput(t *testing.T) {
	t.Parallel()
	j := newBench(t).start(withStdin, func(j *manifest.Job) {
		j.Steps = []manifest.Step{{Run: "read a; echo one $a"}, {Run: "read a; echo two $a"}, {Argv: []string{"cat"}}}
	})
	j.send([]byte("a\nb\nc\n"), true)
	wantExit(t, j.end(), manifest.Succeeded, 0)
	if got := j.text(0); got != "one a\ntwo b\nc\n" {
		t.Errorf("log %q", got)
	}
}

func TestInputSentTwiceIsTakenOnce(t *testing.T) {
	t.Parallel()
	j := newBench(t).start(argv("cat"), withStdin)
	for _, f := range []struct {
		at   int64
		text string
	}{{0, "abc"}, {0, "abc"}, {1, "bcd"}, {4, "e"}, {0, "a"}} {
		if err := j.w.Offset(api.FrameStdin, f.at, []byte(f.text)); err != nil {
			t.Fatal(err)
		}
	}
	j.await("it was taken", func() bool { return j.ack == 5 })
	// A second connection learns where to go on, and ends the input.
	second := &job{bench: j.bench, Job: j.Job, event: make(chan struct{})}
	if err := second.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	second.await("hello", func() bool { return second.hello.Stdin == 5 && second.hello.Job == j.ID })
	second.w.Offset(api.FrameStdin, 5, []byte("f"))
	second.w.Offset(api.FrameStdinEnd, 6, nil)
	wantExit(t, j.end(), manifest.Succeeded, 0)
	second.hearOut()
	if got := j.text(0); got != "abcdef" {
		t.Errorf("log %q", got)
	}
}

func TestAnInputBeyondItsWindowIsRefused(t *testing.T) {
	t.Parallel()
	for name, frame := range map[string]func(in *input) error{
		"gap":    func(in *input) error { return in.add(5, []byte("x")) },
		"window": func(in *input) error { return in.add(0, make([]byte, api.StdinWindow+1)) },
	} {
		in := &input{end: -1, wake: make(chan struct{}, 1)}
		if err := frame(in); api.KindOf(err) != api.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnInputThatTookItsEndStaysEnded(t *testing.T) {
	t.Parallel()
	b := newBoard(api.JobInfo{})
	for _, said := range []struct {
		taken  int64
		closed bool
	}{{5, false}, {9, true}, {7, false}} { // the writer's word can come behind that of who ended it
		b.input(said.taken, said.closed)
	}
	if n := b.read(); !n.closed || n.stdin != 9 {
		t.Errorf("closed %v at %d", n.closed, n.stdin)
	}
}

func TestManyOwnersOfOneInputLeaveABoundedRest(t *testing.T) {
	t.Parallel()
	in := &input{end: -1, wake: make(chan struct{}, 1)}
	for i := range 10 * maxOwners {
		name := fmt.Sprint(i)
		o := in.take(name)
		if o.Input != name {
			break
		}
		if err := in.add(o.Received, make([]byte, api.StdinWindow)); err != nil {
			t.Fatal(err)
		}
	}
	if len(in.pending) > (maxOwners+1)*api.StdinWindow {
		t.Errorf("%d bytes wait", len(in.pending))
	}
	in.pending = nil // the job reads all of it
	for i := range 10 * maxOwners {
		if name := fmt.Sprint("late", i); in.take(name).Input != name {
			t.Fatalf("%s does not get it", name)
		}
	}
	if len(in.lost) > maxOwners {
		t.Errorf("%d clients are remembered", len(in.lost))
	}
	if o := in.take(fmt.Sprint("late", 10*maxOwners-2)); o.Input != fmt.Sprint("late", 10*maxOwners-1) {
		t.Errorf("%s took it back", o.Input)
	}
}

func TestAJobWhoseInputIsTakenAwayIsNotTheOneThatEnded(t *testing.T) {
	t.Parallel()
	j := newBench(t).start(sh("read x"), onTerminal, withStdin)
	j.await("it ran", j.phase(api.PhaseRunning))
	j.send([]byte("x\n"), false)
	wantExit(t, j.end(), manifest.Succeeded, 0)
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.closed || j.closedIn != api.PhaseCollecting {
		t.Errorf("its input closed %v while it was %q", j.closed, j.closedIn)
	}
}
