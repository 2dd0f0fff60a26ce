//go:build linux

package supervise

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// groupPrefix begins the names of jobs' control groups.
const groupPrefix = "cyclops-"

// leaf is what a service manager calls the part of a service's group that the service itself is in,
// so that the group can be divided: version 2 counts only in groups that hold no processes.
const leaf = "executor"

// hierarchy is a tree of control groups in which a job can have one.
type hierarchy struct {
	unified     bool     // version 2
	dir         string   // group below which a job's is made
	controllers []string // of those that are used
}

// child is the directory of a job's group.
func (h hierarchy) child(id string) string { return filepath.Join(h.dir, groupPrefix+id) }

// enable has a controller count in the groups below. In version 2 that has to be asked for, which must
// not be done in a group that holds processes: of some controllers the kernel then agrees, but lets
// no process into the groups below any more.
func (h hierarchy) enable(controller string) error {
	if !h.unified {
		return nil
	}
	control := filepath.Join(h.dir, "cgroup.subtree_control")
	on, err := os.ReadFile(control)
	if err == nil && !slices.Contains(strings.Fields(string(on)), controller) {
		if h.crowded() {
			return fmt.Errorf("the control group %s cannot be divided: it holds processes", h.dir)
		}
		err = os.WriteFile(control, []byte("+"+controller), 0)
	}
	if err != nil {
		return fmt.Errorf("the controller %s is not given to this user's control group: %w", controller, err)
	}
	return nil
}

// crowded tells whether a group holds processes. The root of all may, and has no type.
func (h hierarchy) crowded() bool {
	if _, err := os.Stat(filepath.Join(h.dir, "cgroup.type")); errors.Is(err, fs.ErrNotExist) {
		return false
	}
	procs, err := os.ReadFile(filepath.Join(h.dir, "cgroup.procs"))
	return err != nil || len(procs) > 0
}

// ownGroups returns the hierarchies that this process is in and that count what is limited or can
// be killed whole.
func ownGroups() ([]hierarchy, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("unable to find control groups: %w", err)
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("unable to find control groups: %w", err)
	}
	return findGroups(string(mounts), string(own)), nil
}

// findGroups reads mountinfo(5) and cgroup(7)'s list of a process's groups.
func findGroups(mounts, own string) []hierarchy {
	var found []hierarchy
	for line := range strings.Lines(own) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		h := hierarchy{unified: parts[0] == "0" && parts[1] == ""}
		for _, c := range []string{pids, memory} {
			if h.unified || slices.Contains(strings.Split(parts[1], ","), c) {
				h.controllers = append(h.controllers, c)
			}
		}
		if h.dir = mountOf(mounts, h, parts[2]); h.dir == "" || len(h.controllers) == 0 {
			continue
		}
		if h.unified && filepath.Base(h.dir) == leaf {
			h.dir = filepath.Dir(h.dir)
		}
		found = append(found, h)
	}
	// Version 2 last: where it has a controller that version 1 has too, neither does.
	slices.SortStableFunc(found, func(a, b hierarchy) int {
		switch {
		case a.unified == b.unified:
			return 0
		case a.unified:
			return 1
		}
		return -1
	})
	return found
}

// mountOf returns where a group of a hierarchy can be seen.
func mountOf(mounts string, h hierarchy, at string) string {
	for line := range strings.Lines(mounts) {
		left, right, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		place, fs := strings.Fields(left), strings.Fields(right)
		if len(place) < 5 || len(fs) < 3 || !h.mounted(fs[0], fs[2]) {
			continue
		}
		// A container sees a part of the tree as the whole of it.
		if below, ok := strings.CutPrefix(at, strings.TrimSuffix(place[3], "/")); ok && (below == "" || below[0] == '/') {
			return filepath.Join(place[4], below)
		}
	}
	return ""
}

// mounted tells whether a mount of this type and these options shows the hierarchy.
func (h hierarchy) mounted(kind, options string) bool {
	if h.unified {
		return kind == "cgroup2"
	}
	return kind == "cgroup" && slices.ContainsFunc(h.controllers, func(c string) bool {
		return slices.Contains(strings.Split(options, ","), c)
	})
}
