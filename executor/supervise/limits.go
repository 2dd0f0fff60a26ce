//go:build linux

package supervise

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

// Limits is what a job may use on this host; 0: as much as there is.
type Limits struct {
	Processes int   `json:"processes,omitempty"` // threads among them
	Memory    int64 `json:"memory,omitempty"`    // bytes
	Log       int64 `json:"log,omitempty"`
	Output    int64 `json:"output,omitempty"` // that is copied into the record
}

// limitRecord is what a manifest says of a limit that was reached, or that could not be enforced.
type limitRecord struct {
	Key         string `json:"key"` // in the host's config
	Value       int64  `json:"value"`
	Reached     bool   `json:"reached,omitempty"`
	NotEnforced string `json:"notEnforced,omitempty"` // why
}

// TryLimits starts a process in control groups as a job's, gives them back, and says of each limit
// that does not hold here why.
func TryLimits(data layout.Data, l Limits) map[string]string {
	g := makeCgroup(data, manifest.NewID(), l)
	defer g.remove()
	pid, err := g.fork("/bin/sh", []string{"sh", "-c", ":"}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{}})
	for err == nil {
		if _, err = unix.Wait4(pid, nil, 0, nil); !errors.Is(err, unix.EINTR) {
			break
		}
		err = nil
	}
	if err != nil {
		g.outside(err, g.dirs...)
	}
	return g.notEnforced(l)
}

// notEnforced says of each limit that does not hold why.
func (g *cgroup) notEnforced(l Limits) map[string]string {
	why := map[string]string{}
	if l.Processes > 0 && g.holds[pids] == "" {
		why["processes"] = g.without[pids]
	}
	if l.Memory > 0 && g.holds[memory] == "" {
		why["memory"] = g.without[memory]
	}
	return why
}

// limit has the groups hold a job to its limits. What swaps counts as memory: a job that lives on
// in swap makes the host unusable for all.
func (g *cgroup) limit(l Limits) {
	if l.Processes > 0 {
		g.set(pids, int64(l.Processes), "pids.max")
	}
	if l.Memory == 0 {
		return
	}
	// The rest is refused where there is no swap to count.
	if g.version2(memory) {
		g.set(memory, l.Memory, "memory.max")
		_ = g.try(memory, 0, "memory.swap.max")
		return
	}
	g.set(memory, l.Memory, "memory.limit_in_bytes")
	_ = g.try(memory, l.Memory, "memory.memsw.limit_in_bytes")
}

// set writes a limit, or notes why it does not hold.
func (g *cgroup) set(controller string, value int64, file string) {
	if g.holds[controller] == "" {
		return
	}
	if err := g.try(controller, value, file); err != nil {
		g.holds[controller], g.without[controller] = "", err.Error()
	}
}

func (g *cgroup) try(controller string, value int64, file string) error {
	if g.holds[controller] == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(g.holds[controller], file), []byte(strconv.FormatInt(value, 10)), 0)
}

// version2 tells whether a controller counts in a group of version 2.
func (g *cgroup) version2(controller string) bool {
	return g.unified != nil && g.holds[controller] == g.unified.Name()
}

// count reads a number from a file of a controller's: the one behind name, or the only one. It is
// not known where the kernel keeps none.
func (g *cgroup) count(controller, file, name string) (n int64, known bool) {
	if g.holds[controller] == "" {
		return 0, false
	}
	data, err := os.ReadFile(filepath.Join(g.holds[controller], file))
	if err != nil {
		return 0, false
	}
	return numberBehind(string(data), name)
}

func numberBehind(text, name string) (int64, bool) {
	for line := range strings.Lines(text) {
		word, rest, two := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" && !two {
			rest = word
		} else if word != name {
			continue
		}
		n, err := strconv.ParseInt(rest, 10, 64)
		return n, err == nil
	}
	return 0, false
}

// reachedProcesses tells whether a process could not be started because of the limit.
func (g *cgroup) reachedProcesses() bool {
	n, _ := g.count(pids, "pids.events", "max")
	return n > 0
}

// outOfMemory tells whether processes were killed because there was no memory, and whether it was
// the group's own limit of bytes. It is not known where the kernel does not count such deaths.
func (g *cgroup) outOfMemory(limit int64) (killed, own, known bool) {
	if g.version2(memory) {
		kills, known := g.count(memory, "memory.events", "oom_kill")
		failed, _ := g.count(memory, "memory.events", "oom")
		return kills > 0, limit > 0 && failed > 0, known
	}
	kills, known := g.count(memory, "memory.oom_control", "oom_kill")
	// Its counts of failures stay 0 in newer kernels.
	peak, _ := g.count(memory, "memory.max_usage_in_bytes", "")
	return kills > 0, limit > 0 && peak >= limit-chargedAtOnce, known
}

// chargedAtOnce is by how many bytes a group's peak may stay below a limit that was reached: pages
// are counted by the batch.
const chargedAtOnce = 1 << 20

// hostKills returns how many processes this machine has killed because there was no memory.
func hostKills() int64 {
	data, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0
	}
	n, _ := numberBehind(string(data), "oom_kill")
	return n
}

// killedByKernel tells whether the step that ran last died of a KILL that nobody asked for. A shell
// says so of its own last command by an exit code.
func (s *supervisor) killedByKernel() bool {
	if state, _ := s.stop.why(); state != "" {
		return false
	}
	for _, r := range s.record.Steps {
		if r.Signal == "KILL" || r.ExitCode != nil && *r.ExitCode == 128+9 {
			return true
		}
	}
	return false
}

// measure finds out which limits the job reached while its groups are there. before is what
// hostKills returned when it began.
func (s *supervisor) measure(before int64) {
	g, l := s.children.group, s.launch.Limits
	killed, own, known := g.outOfMemory(l.Memory)
	if !known {
		killed = s.killedByKernel() && (hostKills() > before || own)
	}
	switch {
	case killed && own:
		s.reach("memory", l.Memory, fmt.Sprintf("it ran out of the memory that a job may use on this host (%s, limits.memory)", human.Size(l.Memory)))
	case killed:
		s.reached = append(s.reached, "the host ran out of memory and killed a process of it")
	}
	s.noMemory = killed
	if l.Processes > 0 && g.reachedProcesses() {
		s.reach("processes", int64(l.Processes), fmt.Sprintf("it reached the number of processes that a job may have on this host (%d, limits.processes)", l.Processes))
	}
	for _, text := range s.reached {
		s.warn(text)
	}
	why := g.notEnforced(l)
	if why["processes"] != "" {
		s.limits = append(s.limits, limitRecord{Key: "limits.processes", Value: int64(l.Processes), NotEnforced: why["processes"]})
	}
	if why["memory"] != "" {
		s.limits = append(s.limits, limitRecord{Key: "limits.memory", Value: l.Memory, NotEnforced: why["memory"]})
	}
}

// reach notes a limit that was reached, for the reason and for programs.
func (s *supervisor) reach(name string, value int64, reason string) {
	s.reached = append(s.reached, reason)
	s.limits = append(s.limits, limitRecord{Key: "limits." + name, Value: value, Reached: true})
}

// overLog ends the job whose log would get larger than it may be.
func (s *supervisor) overLog() {
	s.stop.fail(s.logReason(), s.grace())
	s.warn(s.logReason())
}

func (s *supervisor) logReason() string {
	return fmt.Sprintf("its log went over the size that a job's may have on this host (%s, limits.log)", human.Size(s.launch.Limits.Log))
}
