//go:build failpoints && linux

package chaos

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// end says what becomes of a process that a fault paused.
const (
	pausedGoesOn   = ""
	pausedIsKilled = ", then kill"
)

// fault is one column of the matrix.
type fault struct {
	name string
	then string
}

var matrixFaults = []fault{
	{failpoint.Crash, ""}, {failpoint.Pause, pausedGoesOn}, {failpoint.Pause, pausedIsKilled}, {failpoint.EIO, ""}, {failpoint.ENOSPC, ""},
}

// TestChaosMatrix breaks every named step in every way, one at a time in a world of its own, and asks
// after each whether what was promised holds. Without CHAOS_POINTS=0 it takes as many points as CI has
// time for, others with every seed.
func TestChaosMatrix(t *testing.T) {
	server := sshtest.Start(t, sshtest.Options{Name: "lab", MaxSessions: 200, Extra: []string{"MaxStartups 200"}})
	binary(t)
	t.Run("points", func(t *testing.T) {
		for _, b := range blows() {
			if b.role == roleClient || b.role == roleLink {
				b.server = server
			}
			strike(t, b)
		}
	})
}

// blows lists the cases.
func blows() (all []*blow) {
	stories, first := scenarios()
	points := failpoint.Points()
	var targets []blow
	for _, role := range slices.Sorted(maps.Keys(points)) {
		for _, point := range points[role] {
			of := stories[point]
			if len(of) == 0 {
				of = []scenario{first[role]}
			}
			slices.SortFunc(of, func(a, b scenario) int { return strings.Compare(a.name, b.name) })
			for _, story := range of {
				targets = append(targets, blow{role: role, point: point, story: story, several: len(of) > 1})
			}
		}
	}
	few := settings().points > 0
	all = later(targets, few)
	random := rand.New(rand.NewPCG(settings().seed, 0))
	if few {
		random.Shuffle(len(targets), func(i, j int) { targets[i], targets[j] = targets[j], targets[i] })
		targets = targets[:min(len(targets), settings().points)]
	}
	for _, target := range targets {
		skip := []string{pausedGoesOn, pausedIsKilled}[random.IntN(2)]
		for _, f := range matrixFaults {
			if few && f.name == failpoint.Pause && f.then == skip {
				continue
			}
			b := target
			b.fault, b.seen = f, map[int]bool{}
			all = append(all, &b)
		}
	}
	return all
}

// shared are the points that one process surely comes by so many times, with another commit, frame or file each time.
var shared = map[failpoint.Point]int{
	failpoint.StoreBegin: 6, failpoint.StoreCommit: 6, failpoint.ClientFrame: 6, failpoint.ApplyWrite: 3,
}

// fewLater is how many cases of later passings CI has time for.
const fewLater = 18

// later lists the cases of shared points that a fault strikes at a later passing than the first.
func later(targets []blow, few bool) (all []*blow) {
	for _, target := range targets {
		for n := 2; n <= shared[target.point]; n++ {
			for _, f := range matrixFaults {
				b := target
				b.fault, b.passing, b.seen = f, n, map[int]bool{}
				all = append(all, &b)
			}
		}
	}
	if few {
		random := rand.New(rand.NewPCG(settings().seed, 1))
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:min(len(all), fewLater)]
	}
	return all
}

// blow is one case of the matrix.
type blow struct {
	role  string
	point failpoint.Point
	fault fault
	// passing is which of the times that a process comes by, 0: the first.
	passing int
	story   scenario
	// several: the point has other stories too.
	several bool
	server  *sshtest.Server
	seen    map[int]bool // processes that a pause was ended for
	others  []<-chan struct{}
}

// strike runs a case as a subtest, unless an earlier run of the report has it.
func strike(t *testing.T, b *blow) {
	name := fmt.Sprintf("%s/%s=%s%s", b.role, b.point, b.fault.name, b.fault.then)
	if b.passing > 0 {
		name += fmt.Sprintf(", passing %d", b.passing)
	}
	if b.several {
		name += ", " + b.story.name
	}
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		if open(t).done("matrix/" + name) {
			return
		}
		began := time.Now()
		w := newWorld(t, b.server)
		b.story.ready(w)
		if len(w.problems) == 0 {
			b.run(w)
		}
		sum := w.check()
		w.record(t, entry{Case: "matrix/" + name, Seconds: time.Since(began).Seconds(), Faults: 1, tally: sum})
	})
}

// beforeStart are the steps that each supervisor of a job comes by before the job has started: without
// room for them it waits, and would wait for ever on a disk that never has any.
var beforeStart = []failpoint.Point{
	failpoint.SuperviseClaim, failpoint.SuperviseReserve, failpoint.SuperviseListen, failpoint.LogCreate,
}

// spec is what the processes are told.
func (b *blow) spec() string {
	spec := fmt.Sprintf("%s=%s", b.point, b.fault.name)
	switch {
	case b.passing > 0:
		spec += fmt.Sprintf("@%d", b.passing)
	case b.fault.name == failpoint.ENOSPC && slices.Contains(beforeStart, b.point):
		spec += "@once"
	}
	return spec
}

// run lets the fault strike while the story goes on, demands that it did, and then has the user try again.
func (b *blow) run(w *world) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		b.story.act(w, b.spec())
	}()
	if b.fault.name == failpoint.Pause {
		b.tend(w, over)
	}
	<-over
	if !eventually(10*time.Second, func() bool { return len(w.strikesOf(b.point, b.fault.name)) > 0 }) {
		w.wrong("%s was not reached by %q", b.point, b.story.name)
		return
	}
	if b.fault.name == failpoint.Pause {
		b.tend(w, over) // what comes behind the story's end
	}
	for _, ended := range b.others { // not before: the next daemon is paused too, and holds them up
		<-ended
	}
	if b.fault.name == failpoint.Pause {
		b.tend(w, over) // what came while they were waited for
	}
	b.blame(w)
	w.stopDaemon() // it may be armed still
	w.again()
}

// again does what the user would do next, with nothing broken: it must work.
func (w *world) again() {
	w.openGates()
	w.ranWell("after", "--isolated")
}

// blame allows the job of a supervisor that was killed to be lost.
func (b *blow) blame(w *world) {
	if b.role == roleSupervisor && (b.fault.name == failpoint.Crash || b.fault.then == pausedIsKilled) {
		w.excuse("")
	}
}

// tend sees to every process that the fault pauses until the story is over: once the others had the
// time to notice, the first goes on or is killed, as the case has it, and those after it go on.
func (b *blow) tend(w *world, over <-chan struct{}) {
	for {
		next := 0
		eventually(patience, func() bool {
			for _, pid := range w.strikesOf(b.point, b.fault.name) {
				if !b.seen[pid] {
					next = pid
				}
			}
			select {
			case <-over:
				return true
			default:
				return next != 0
			}
		})
		if next == 0 {
			return
		}
		b.release(w, next, len(b.seen) == 0)
		b.seen[next] = true
	}
}

// release ends a pause.
func (b *blow) release(w *world, pid int, first bool) {
	eventually(patience, func() bool { return stopped(pid) || syscall.Kill(pid, 0) != nil })
	paused, _ := w.look(fmt.Sprintf("/proc/%d", pid), pid)
	other := w.start(w.tree(0), "", "ps")
	if paused.role == roleSupervisor || paused.role == roleClient {
		<-other.ended // neither holds up anybody else
	}
	b.others = append(b.others, other.ended)
	time.Sleep(w.paused) // the others may notice; how long that takes nobody tells
	if first && b.fault.then == pausedIsKilled {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	} else {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
}
