//go:build linux

package daemon_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/boot"
	"github.com/cyclops-fpga/cyclops/executor/chaos/powerfs"
)

// What the environment can ask of TestNothingIsLostWithThePower.
const (
	lossesVariable = "CYCLOPS_POWER_LOSSES" // how many; 1,000 where nothing is said, 100 with -short
	seedVariable   = "CYCLOPS_POWER_SEED"   // of them all
	againVariable  = "CYCLOPS_POWER_AGAIN"  // FILE:N:SEED, one loss that went wrong
)

// tally counts what was checked and what was wrong.
type tally struct {
	losses            uint64
	jobs, lost, twice int
	bytes             int64
}

func (c *tally) add(other *tally) {
	c.losses, c.jobs, c.lost, c.twice, c.bytes = c.losses+other.losses, c.jobs+other.jobs, c.lost+other.lost, c.twice+other.twice, c.bytes+other.bytes
}

// maxWrong is how many states that are wrong are told of before a trace is given up.
const maxWrong = 8

// TestNothingIsLostWithThePower records workloads, cuts the power at random operations of them, and lets a daemon
// take up what could be on the disk then.
func TestNothingIsLostWithThePower(t *testing.T) {
	t.Parallel()
	if again := os.Getenv(againVariable); again != "" {
		oneAgain(t, again)
		return
	}
	losses := number(t, lossesVariable, map[bool]uint64{false: 1000, true: 100}[testing.Short()])
	seed := number(t, seedVariable, rand.Uint64())
	t.Logf("%s=%d %s=%d", lossesVariable, losses, seedVariable, seed)
	l := build(t)
	for i, w := range []struct {
		name string
		of20 uint64 // how many of 20 losses
		cut  func(t *testing.T, losses, seed uint64) *tally
	}{
		{"one slot", 6, func(t *testing.T, losses, seed uint64) *tally {
			return l.cut(t, l.record(t, firstBoot, install(1), everythingThereIs), losses, seed)
		}},
		{"three slots", 5, func(t *testing.T, losses, seed uint64) *tally {
			return l.cut(t, l.record(t, firstBoot, install(3), everythingThereIs), losses, seed)
		}},
		{"restarts", 4, func(t *testing.T, losses, seed uint64) *tally {
			return l.cut(t, l.record(t, firstBoot, install(1), restarts), losses, seed)
		}},
		{"recoveries", 5, l.cutRecoveries},
	} {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			count := w.cut(t, (losses*w.of20+19)/20, seed+uint64(i))
			t.Logf("%d losses in %v: %d jobs looked at, %d lost, %d run twice, %d bytes lost",
				count.losses, time.Since(begun).Round(time.Millisecond), count.jobs, count.lost, count.twice, count.bytes)
		})
	}
}

// lab is what workloads run with: an executor that can be told in which boot of the machine it runs.
type lab struct{ cyclopsd string }

func build(t *testing.T) lab {
	t.Helper()
	l := lab{filepath.Join(t.TempDir(), "cyclopsd")}
	cmd := exec.Command("go", "build", "-tags", "failpoints,nethttpomithttp2", "-trimpath", "-o", l.cyclopsd, "../cyclopsd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return l
}

// start starts a daemon in a process of its own, or tells why it cannot; halt ends it.
func (l lab) start(h *host, in string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := exec.Command(l.cyclopsd, "serve", "--data", string(h.data))
	cmd.Env = append(os.Environ(), boot.Variable+"="+in, "CYCLOPS_READY_FD=3")
	cmd.ExtraFiles, cmd.Dir = []*os.File{w}, "/"
	err = cmd.Start()
	w.Close()
	if err != nil {
		return err
	}
	h.left = make(chan error, 1)
	go func() { h.left <- cmd.Wait() }()
	if line, err := bufio.NewReader(r).ReadString('\n'); line != "ready\n" {
		return fmt.Errorf("%q, %w, %w", line, <-h.left, err)
	}
	h.stop = func() { cmd.Process.Signal(syscall.SIGTERM) }
	return nil
}

// The boots of the machine in which workloads are recorded. What is checked comes behind them.
const (
	firstBoot  = "first boot"
	secondBoot = "second boot"
	lastBoot   = "last boot"
)

// perRecovery is how often the power goes while one recovery is under way.
const perRecovery = 20

// cutRecoveries cuts the power, and again while a daemon takes up what was left.
func (l lab) cutRecoveries(t *testing.T, losses, seed uint64) *tally {
	first := l.record(t, firstBoot, install(2), everythingThereIs)
	draw := rand.New(rand.NewPCG(seed, 1))
	all := &tally{}
	for all.losses < losses && !t.Failed() {
		second := l.record(t, secondBoot, after(first, 1+draw.IntN(len(first.Ops)), draw.Uint64()), recovers)
		all.add(l.cut(t, second, min(perRecovery, losses-all.losses), draw.Uint64()))
	}
	return all
}

func number(t *testing.T, variable string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// cut checks the states behind losses of the operations of a trace.
func (l lab) cut(t *testing.T, trace *powerfs.Trace, losses, seed uint64) *tally {
	draw := rand.New(rand.NewPCG(seed, 0))
	var told []int
	trace.Marks(func(n int, line string) {
		if told = append(told, n+1); strings.HasPrefix(line, `{"event":"`+begun+`"`) {
			told = []int{n + 1} // before that nothing happens
		}
	})
	count, wrong, saved := &tally{}, 0, ""
	for range losses {
		// Half of them right behind something that was said: then it must hold.
		n, one := told[0]+draw.IntN(len(trace.Ops)-told[0]+1), draw.Uint64()
		if draw.IntN(2) == 0 {
			n = told[draw.IntN(len(told))]
		}
		count.losses++
		problems := l.outcome(t, trace, n, one, count)
		if len(problems) == 0 {
			continue
		}
		if saved == "" {
			saved = keep(t, trace)
		}
		t.Errorf("power lost behind operation %d of %d, seed %d:\n\t%s\n\t%s=%s:%d:%d go test -run '^%s$' ./executor/daemon",
			n, len(trace.Ops), one, strings.Join(problems, "\n\t"), againVariable, saved, n, one, strings.Split(t.Name(), "/")[0])
		if wrong++; wrong == maxWrong {
			t.Error("there may be more")
			break
		}
	}
	return count
}

// keep saves a trace where it outlives the test.
func keep(t *testing.T, trace *powerfs.Trace) string {
	t.Helper()
	f, err := os.CreateTemp(os.TempDir(), "cyclops-power-*.trace")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := trace.Save(f.Name()); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// oneAgain makes a state that went wrong again.
func oneAgain(t *testing.T, again string) {
	t.Helper()
	words := strings.Split(again, ":")
	if len(words) != 3 {
		t.Fatalf("%s=%s is not FILE:N:SEED", againVariable, again)
	}
	trace, err := powerfs.Load(filepath.Clean(words[0]))
	if err != nil {
		t.Fatal(err)
	}
	var n int
	var seed uint64
	if _, err := fmt.Sscan(words[1]+" "+words[2], &n, &seed); err != nil {
		t.Fatal(err)
	}
	for _, p := range build(t).outcome(t, trace, n, seed, &tally{}) {
		t.Error(p)
	}
}
