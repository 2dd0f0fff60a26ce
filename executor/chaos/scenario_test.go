//go:build failpoints && linux

package chaos

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// scenario is a small story that surely reaches its points. ready is what comes before, unbroken;
// act is what a fault strikes in.
type scenario struct {
	name  string
	ready func(*world)
	act   func(w *world, armed string)
}

// scenarios says which story reaches which points; what no story names is reached by the first run of
// its role.
func scenarios() (map[failpoint.Point][]scenario, map[string]scenario) {
	by := map[failpoint.Point][]scenario{}
	for s, points := range map[*scenario][]failpoint.Point{
		{"upload", upload, clientRun}:        {failpoint.ClientUpload},
		{"large output", nothing, largeRun}:  {failpoint.ClientFetched},
		{"first start", nothing, firstStart}: {failpoint.DaemonID, failpoint.SchemaCommit},
		{"repair of a record", damagedRecord, repair}: {
			failpoint.CheckAside, failpoint.CheckIndex, failpoint.CheckRecord, failpoint.CheckCommit,
		},
		{"repair of an output", damagedOutput, repairOutput}: {
			failpoint.CheckAside, failpoint.CheckDoubt, failpoint.CheckRecord, failpoint.CheckCommit,
		},
		{"later start", oneRun, laterStart}: {
			failpoint.DaemonLock, failpoint.DaemonStore, failpoint.DaemonListen, failpoint.RecoverSweep, failpoint.RecoverRead,
			failpoint.RecoverLeftover, failpoint.SweepCommit,
		},
		{"start on a damaged database", damagedDatabase, laterStart}: {
			failpoint.SalvageKeep, failpoint.SalvageTake, failpoint.SalvageDrop, failpoint.SalvageRename, failpoint.RebuildCommit,
		},
		{"start without a database", forgottenQueue, laterStart}: {failpoint.RebuildInputs},
		{"start beside a running job", running, laterStart}:      {failpoint.RecoverFollow},
		{"lost job", running, loseJob}:                           {failpoint.LoseKill, failpoint.LoseRecord},
		{"same inputs, forgotten", forgotten, daemonRun}:         {failpoint.PackHold},
		{"queue", queued, leaveQueue}:                            {failpoint.StartCommit},
		{"cancel in the queue", queued, cancelQueued}:            {failpoint.CancelRecord},
		{"other priority", queued, prioritise}:                   {failpoint.PriorityCommit},
		{"pin", oneRun, pin}:                                     {failpoint.PinMark, failpoint.PinCommit},
		{"drain", oneRun, drain}:                                 {failpoint.DrainCommit},
		{"remove", oneRun, remove}: {
			failpoint.RemoveCommit, failpoint.RemovePack, failpoint.RemoveAside, failpoint.RemoveTree,
		},
		{"many packs", manyPacks, daemonRun}:                   {failpoint.CompactMerge, failpoint.CompactCommit},
		{"changed tree", changedTree, changedRun}:              {failpoint.ApplyClear, failpoint.ApplyRename},
		{"start of which nothing came", vainStart, laterStart}: {failpoint.RequeueCommit},
	} {
		for _, p := range points {
			by[p] = append(by[p], *s)
		}
	}
	return by, map[string]scenario{
		"client": {"first run", oneDaemon, clientRun}, "link": {"first run", oneDaemon, linkRun},
		"daemon": {"first run", nothing, daemonRun}, "supervisor": {"first run", nothing, daemonRun},
	}
}

func nothing(*world) {}

func oneDaemon(w *world) { w.daemon("") }

// oneRun is a job that has ended before, in a daemon that has too.
func oneRun(w *world) { oneRunOf(w, told{name: "before", code: 7}) }

func oneRunOf(w *world, what told) {
	j := w.job(what)
	w.submit(j, "", "--isolated")
	if r := w.cyclops("wait", j.id); r.code != 7 {
		w.wrong("nothing is broken, and still: %v", r)
	}
	w.stopDaemon()
}

// damagedDatabase is oneRun whose database is no longer one.
func damagedDatabase(w *world) {
	oneRun(w)
	w.flip(w.data.Database(), 0)
}

// flip changes a bit of a file's byte that lies so many hundredths into it.
func (w *world) flip(file string, percent int) {
	data, err := os.ReadFile(file)
	if err == nil {
		data[len(data)*percent/100] ^= 1
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		w.wrong("%v", err)
	}
}

// damagedRecord is oneRun whose job's record has a byte that it had not.
func damagedRecord(w *world) {
	oneRun(w)
	w.flip(w.data.Manifest(w.jobs[0].id), 50)
}

// repair mends while the faults strike, and then once more without any.
func repair(w *world, armed string) {
	w.start(w.dir, armed, "executor", "check", "--repair", "--data", string(w.data)).finish()
	if r := w.start(w.dir, "", "executor", "check", "--repair", "--data", string(w.data)).finish(); r.code != 0 {
		w.wrong("nothing is broken any more, and still: %v", r)
	}
}

// damagedOutput is oneRun of two outputs, of which one has a byte that it had not.
func damagedOutput(w *world) {
	oneRunOf(w, told{name: "before", code: 7, bytes: 1000})
	j := w.jobs[0]
	j.other = true // it lacks an output from now on
	w.flip(filepath.Join(w.data.Artifacts(j.id), "out", "before.txt"), 50)
}

// repairOutput is repair of a record that is sound but for one output: all else that it says must stay, and the index
// does not know that.
func repairOutput(w *world, armed string) {
	repair(w, armed)
	data, err := os.ReadFile(w.data.Manifest(w.jobs[0].id))
	m := &manifest.Manifest{}
	if err == nil {
		m, err = manifest.DecodeManifest(data)
	}
	fresh := slices.ContainsFunc(m.Artifacts, func(a manifest.Artifact) bool { return a.Name == "out/before.big" && a.Fresh })
	if err != nil || !fresh || len(m.Artifacts) != 3 || !strings.Contains(string(data), "before.txt: ") {
		w.wrong("the record was not mended but made anew: %v, %s", err, data)
	}
}

// ranWell runs a job while nothing is broken.
func (w *world) ranWell(name string, flags ...string) *told {
	j := w.job(told{name: name, code: 7})
	if r := w.run(j, "", flags...); r.code != 7 {
		w.wrong("nothing is broken, and still: %v", r)
	}
	return j
}

// linkRun has the faults strike in every link that the client starts, until its patience ends.
func linkRun(w *world, armed string) {
	w.run(w.job(told{name: "struck"}), armed, "--patience", "5s")
}

// clientRun has the faults strike in the client.
func clientRun(w *world, armed string) { w.run(w.job(told{name: "struck"}), armed) }

func largeRun(w *world, armed string) {
	w.daemon("")
	w.run(w.job(told{name: "struck", bytes: 5 << 20}), armed)
}

// daemonRun has them strike in the daemon, and in the supervisors that it starts.
func daemonRun(w *world, armed string) {
	w.daemon(armed)
	w.run(w.job(told{name: "struck", code: 7}), "")
}

func upload(w *world) {
	w.daemon("")
	noise := make([]byte, 600<<10)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(noise)
	w.write(w.tree(0), "noise", string(noise))
}

func firstStart(w *world, armed string) { w.start(w.tree(0), armed, "ps").finish() }

func laterStart(w *world, armed string) { w.start(w.tree(0), armed, "ps").finish() }

// running is a job that runs while its daemon was killed.
func running(w *world) {
	j := w.job(told{name: "before", code: 7, hold: w.gate("before")})
	w.submit(j, "")
	if !w.reached(j) {
		w.wrong("nothing is broken, and still the job does not run")
	}
	w.kill(roleDaemon)
}

// kill kills every process of a role and is back when they are gone.
func (w *world) kill(role string) {
	for _, p := range w.having(role) {
		if p.role == roleSupervisor {
			w.excuse(p.job)
		}
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
	eventually(patience, func() bool { return len(w.having(role)) == 0 })
}

// excuse allows a job to be lost: its supervisor is killed.
func (w *world) excuse(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id == "" {
		w.unknown++
		return
	}
	w.killed[id] = true
}

func loseJob(w *world, armed string) {
	w.daemon(armed)
	w.kill(roleSupervisor)
	w.cyclops("wait", w.jobs[0].id)
}

// forgotten is a client that no longer knows what its host has.
func forgotten(w *world) {
	w.write(w.tree(0), "in/mark", "struck\n")
	w.must("submit", "--name", "before", "--", "true")
	w.mu.Lock()
	w.jobs = append(w.jobs, &told{name: "before", tree: w.tree(0), other: true})
	w.mu.Unlock()
	w.must("wait", "@1")
	w.stopDaemon()
	if err := os.RemoveAll(filepath.Join(w.dir, ".state", "cyclops", "known")); err != nil {
		w.wrong("%v", err)
	}
}

// queued is a job that runs, and one that waits for it, in a daemon that is about to be another.
func queued(w *world) {
	if err := os.WriteFile(w.data.Config(), []byte("slots = 1\n"), 0o600); err != nil {
		w.wrong("%v", err)
	}
	first := w.job(told{name: "first", code: 7, hold: w.gate("first")})
	w.submit(first, "")
	second := w.job(told{name: "second", code: 7})
	w.submit(second, "")
	if !w.reached(first) {
		w.wrong("nothing is broken, and still the job does not run")
	}
	w.stopDaemon()
}

// forgottenQueue is queued whose database is gone.
func forgottenQueue(w *world) {
	queued(w)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(w.data.Database() + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			w.wrong("%v", err)
		}
	}
}

func leaveQueue(w *world, armed string) {
	w.daemon(armed)
	w.openGates()
	w.cyclops("wait", w.jobs[0].id) // the second starts behind it, if the disk goes along
}

func cancelQueued(w *world, armed string) {
	w.daemon(armed)
	w.mu.Lock()
	w.jobs[1].cancelled = true
	w.mu.Unlock()
	r := w.cyclops("cancel", w.jobs[1].id)
	w.mu.Lock()
	w.jobs[1].withdrawn = r.code == 0
	w.mu.Unlock()
	w.openGates()
	w.cyclops("wait", w.jobs[1].id)
}

func prioritise(w *world, armed string) {
	w.daemon(armed)
	w.cyclops("reprioritise", "--priority", "low", w.jobs[1].id)
}

func drain(w *world, armed string) {
	w.daemon(armed)
	w.cyclops("drain")
	w.stopDaemon()
	if r := w.cyclops("resume"); r.code != 0 {
		w.wrong("the host does not take jobs again: %v", r)
	}
}

func pin(w *world, armed string) {
	w.daemon(armed)
	w.cyclops("pin", w.jobs[0].id)
}

func remove(w *world, armed string) {
	w.daemon(armed)
	w.remove(w.jobs[0])
}

// remove asks for the end of a job's record.
func (w *world) remove(j *told) *result {
	w.mu.Lock()
	j.removed = true
	w.mu.Unlock()
	r := w.cyclops("rm", j.id)
	w.mu.Lock()
	defer w.mu.Unlock()
	j.gone = j.gone || r.code == 0 && strings.TrimSpace(r.stdout) == j.id
	return r
}

// manyPacks leaves a snapshot one pack short of being compacted.
func manyPacks(w *world) {
	const packs = 32
	for i := range packs {
		w.write(w.tree(0), fmt.Sprintf("in/part%d", i), fmt.Sprintf("before %d\n", i))
	}
	for i := range packs {
		w.write(w.tree(0), fmt.Sprintf("in/part%d", i), fmt.Sprintf("part %d\n", i))
		w.must("submit", "--name", fmt.Sprintf("part%d", i), "--", "true")
		w.mu.Lock()
		w.jobs = append(w.jobs, &told{name: fmt.Sprintf("part%d", i), tree: w.tree(0), other: true})
		w.mu.Unlock()
	}
	w.stopDaemon()
}

// changedTree has a file where a directory will be, and one that will be gone.
func changedTree(w *world) {
	w.write(w.tree(0), "in/kind", "a file\n")
	w.write(w.tree(0), "in/gone", "soon\n")
	w.ranWell("before")
	w.stopDaemon()
}

func changedRun(w *world, armed string) {
	in := filepath.Join(w.tree(0), "in")
	if err := errors.Join(os.Remove(filepath.Join(in, "kind")), os.Remove(filepath.Join(in, "gone"))); err != nil {
		w.wrong("%v", err)
	}
	w.write(w.tree(0), "in/kind/file", "in a directory\n")
	daemonRun(w, armed)
}

// vainStart is a job whose daemon was killed before it could start the supervisor, with the client,
// which would have started another.
func vainStart(w *world) {
	w.daemon(string(failpoint.LaunchStart) + "=" + failpoint.Pause)
	j := w.job(told{name: "before", code: 7})
	c := w.startRun(j, "")
	if !eventually(patience, func() bool { return len(w.strikesOf(failpoint.LaunchStart, failpoint.Pause)) > 0 }) {
		w.wrong("%s was not reached", failpoint.LaunchStart)
	}
	w.kill(roleClient)
	w.kill(roleDaemon)
	<-c.ended
}
