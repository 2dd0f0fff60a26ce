//go:build failpoints && linux

package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// A round of the soak is one world: so many kills, so many clients.
const (
	roundKills   = 25
	roundClients = 3
	lanes        = 3 // rounds at once
)

// TestChaosSoak kills daemons, supervisors, links and clients at random moments, singly and together
// and while they recover, and lets single steps fail as on a bad or full disk, as often as CHAOS_KILLS asks and for as long as CHAOS_HOURS does, while
// clients submit, run, follow, cancel, retry and remove. Rounds are worlds of their own, half of them
// behind a real sshd, and each ends with the question whether what was promised holds.
func TestChaosSoak(t *testing.T) {
	server := sshtest.Start(t, sshtest.Options{Name: "lab", MaxSessions: 200, Extra: []string{"MaxStartups 200"}})
	binary(t)
	t.Logf("CHAOS_SEED=%d", settings().seed)
	t.Run("rounds", func(t *testing.T) {
		for lane := range lanes {
			t.Run(fmt.Sprint(lane), func(t *testing.T) {
				t.Parallel()
				for n := lane; moreRounds(t); n += lanes {
					host := server
					if n%2 == 0 {
						host = nil
					}
					soak(t, n, host)
				}
			})
		}
	})
}

// moreRounds tells whether there is more to do, counting what an earlier run of the report did.
func moreRounds(t *testing.T) bool {
	kills, took := open(t).faults("soak/")
	return kills < settings().kills || took/lanes < time.Duration(settings().hours*float64(time.Hour))
}

// soak is one round.
func soak(t *testing.T, n int, server *sshtest.Server) {
	seed := settings().seed + uint64(n)
	name := fmt.Sprintf("soak/%d", seed)
	if open(t).done(name) {
		return
	}
	t.Run(name, func(t *testing.T) {
		began := time.Now()
		w := newWorld(t, server)
		s := &storm{world: w, random: rand.New(rand.NewPCG(seed, 0)), calm: make(chan struct{})}
		var users sync.WaitGroup
		for i := range roundClients {
			u := &user{storm: s, number: i, random: rand.New(rand.NewPCG(seed, uint64(i+1)))}
			users.Go(u.live)
		}
		kills := s.rage()
		close(s.calm)
		w.stopUntil(&users)
		w.ranWell("after", "--isolated")
		sum := w.check()
		w.record(t, entry{Case: name, Seed: seed, Seconds: time.Since(began).Seconds(), Faults: kills, tally: sum})
	})
}

// storm is the killer of a world.
type storm struct {
	*world
	random *rand.Rand
	calm   chan struct{} // closed when it is over
}

// stopUntil ends the daemon from time to time until the users are done: one whose disk failed takes no jobs. Behind it
// nothing is left that could fail.
func (w *world) stopUntil(users *sync.WaitGroup) {
	done := make(chan struct{})
	go func() { users.Wait(); close(done) }()
	for over := false; !over; {
		w.stopDaemon()
		select {
		case <-done:
			over = true
		case <-time.After(5 * time.Second):
		}
	}
	w.stopDaemon()
	eventually(patience, func() bool { return len(w.having(roleSupervisor)) == 0 })
}

// rage kills until it has killed enough.
func (s *storm) rage() (kills int) {
	for kills < roundKills {
		select {
		case <-time.After(time.Duration(s.random.IntN(250)) * time.Millisecond): // at random moments: that is the point
		case <-time.After(patience):
		}
		kills += s.once()
	}
	return kills
}

// once does one evil.
func (s *storm) once() int {
	switch n := s.random.IntN(100); {
	case n < 35:
		return s.strike(roleDaemon)
	case n < 50:
		return s.strike(roleSupervisor)
	case n < 65:
		return s.strike(roleClient)
	case n < 72:
		return s.strike(roleLink)
	case n < 78:
		return s.strike(roleOther)
	case n < 88: // together
		return s.strike(roleDaemon) + s.strike(roleClient) + s.strike(roleLink)
	case n < 91:
		return s.strike(roleDaemon) + s.strike(roleSupervisor)
	case n < 94: // during recovery
		return s.strike(roleDaemon) + s.whileItStarts()
	case n < 97:
		return s.strike(roleDaemon) + s.failDisk()
	}
	return s.hold()
}

// failDisk starts a daemon of whose steps, or of whose supervisors', one fails once: the disk is broken, or full.
func (s *storm) failDisk() int {
	role := []string{roleDaemon, roleSupervisor}[s.random.IntN(2)]
	points := failpoint.Points()[role]
	point, fault := points[s.random.IntN(len(points))], []string{failpoint.EIO, failpoint.ENOSPC}[s.random.IntN(2)]
	if slices.Contains(beforeStart, point) {
		fault = failpoint.ENOSPC // a start that fails for good keeps its claim, and its job is lost if nobody hears of it
	}
	before := len(s.strikesOf(point, fault))
	s.daemon(fmt.Sprintf("%s=%s@once", point, fault))
	return len(s.strikesOf(point, fault)) - before
}

// strike kills one process of a role, chosen at random.
func (s *storm) strike(role string) int {
	victims := s.having(role)
	if len(victims) == 0 {
		return 0
	}
	p := victims[s.random.IntN(len(victims))]
	if role == roleSupervisor {
		s.excuse(p.job)
	}
	if syscall.Kill(p.pid, syscall.SIGKILL) != nil {
		return 0
	}
	return 1
}

// whileItStarts kills the next daemon as soon as it is there.
func (s *storm) whileItStarts() int {
	if !eventually(time.Second, func() bool { return len(s.having(roleDaemon)) > 0 }) {
		return 0
	}
	return s.strike(roleDaemon)
}

// hold pauses a daemon or a supervisor for a while.
func (s *storm) hold() int {
	victims := append(s.having(roleDaemon), s.having(roleSupervisor)...)
	if len(victims) == 0 {
		return 0
	}
	pid := victims[s.random.IntN(len(victims))].pid
	if syscall.Kill(pid, syscall.SIGSTOP) != nil {
		return 0
	}
	time.Sleep(time.Duration(s.random.IntN(500)) * time.Millisecond)
	_ = syscall.Kill(pid, syscall.SIGCONT)
	return 1
}

// user is a person at a terminal, with a tree.
type user struct {
	*storm
	number int
	random *rand.Rand
	jobs   []*told
	count  int
}

// live does one thing after another until the storm is over.
func (u *user) live() {
	for {
		select {
		case <-u.calm:
			return
		default:
		}
		u.deed()
	}
}

func (u *user) deed() {
	switch n := u.random.IntN(100); {
	case n < 35 || len(u.jobs) == 0:
		u.submit(u.next(), "", "--isolated")
	case n < 55:
		u.run(u.next(), "")
	case n < 65:
		u.follow(u.any())
	case n < 75:
		u.cancel(u.any())
	case n < 85:
		u.retry(u.any())
	case n < 93:
		if j := u.any(); j.id != "" {
			u.remove(j)
		}
	case n < 97:
		u.twins()
	default:
		u.cyclops("ps")
	}
}

// next is a new job.
func (u *user) next() *told {
	u.count++
	j := told{
		name: fmt.Sprintf("j%dx%d", u.number, u.count), lines: 20 + u.random.IntN(200), code: []int{0, 7}[u.random.IntN(2)],
		tree: u.tree(u.number), hold: fmt.Sprintf("0.%02d", u.random.IntN(80)),
	}
	if u.random.IntN(10) == 0 {
		j.bytes = 2 << 20
	}
	made := u.job(j)
	u.jobs = append(u.jobs, made)
	return made
}

func (u *user) any() *told { return u.jobs[u.random.IntN(len(u.jobs))] }

// follow reads a log to its end, and demands that not a byte of it is wrong.
func (u *user) follow(j *told) {
	if j.id == "" {
		return
	}
	r := u.cyclops("logs", "-f", j.id)
	if !strings.HasPrefix(j.says(), r.stdout) {
		u.wrong("logs -f printed what the tool did not write: %.300q", r.stdout)
	}
}

func (u *user) cancel(j *told) {
	if j.id == "" {
		return
	}
	u.mu.Lock()
	j.cancelled = true
	u.mu.Unlock()
	u.cyclops("cancel", j.id)
}

func (u *user) retry(j *told) {
	if j.id == "" {
		return
	}
	r := u.cyclops("retry", j.id)
	again := &told{name: j.name, lines: j.lines, hold: j.hold, bytes: j.bytes, code: j.code, tree: j.tree, retryOf: j.id}
	if again.id = strings.TrimSpace(r.stdout); again.id == "" {
		return
	}
	again.accepted = true
	u.mu.Lock()
	u.world.jobs = append(u.world.jobs, again)
	u.mu.Unlock()
	u.jobs = append(u.jobs, again)
}
