//go:build linux

package supervise

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cgroup is a control group of a job's own: whatever its processes start is in it, so that all
// can be killed at once, even while they fork. It is had where this process's own group may be
// divided (version 2, delegated, or root); elsewhere descent and mark must do.
type cgroup struct {
	path string
	dir  *os.File
}

// makeCgroup returns nil where none can be had.
func makeCgroup(id string) *cgroup {
	path := cgroupPath(id)
	if path == "" || os.Mkdir(path, 0o700) != nil {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		os.Remove(path)
		return nil
	}
	return &cgroup{path: path, dir: dir}
}

// cgroupPath returns where a job's group lies: below that of this process.
func cgroupPath(id string) string {
	mounts, err1 := os.ReadFile("/proc/self/mountinfo")
	own, err2 := os.ReadFile("/proc/self/cgroup")
	if err1 != nil || err2 != nil {
		return ""
	}
	mount := ""
	for line := range strings.Lines(string(mounts)) {
		left, right, _ := strings.Cut(line, " - ")
		if f := strings.Fields(left); len(f) > 4 && strings.HasPrefix(right, "cgroup2 ") && f[3] == "/" {
			mount = f[4]
		}
	}
	for line := range strings.Lines(string(own)) {
		if at, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok && mount != "" {
			return filepath.Join(mount, at, "cyclops-"+id)
		}
	}
	return ""
}

// fd returns what a process is started into, -1 for nil.
func (g *cgroup) fd() int {
	if g == nil {
		return -1
	}
	return int(g.dir.Fd())
}

// kill kills all processes in it; kernels before 5.14 cannot do that in one step.
func (g *cgroup) kill() {
	if g == nil || os.WriteFile(filepath.Join(g.path, "cgroup.kill"), []byte("1"), 0) == nil {
		return
	}
	pids, err := os.ReadFile(filepath.Join(g.path, "cgroup.procs"))
	if err != nil {
		return
	}
	for line := range bytes.Lines(pids) {
		if pid, err := strconv.Atoi(string(bytes.TrimSpace(line))); err == nil {
			unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// remove gives the group back and tells whether it was empty, so that it could be.
func (g *cgroup) remove() bool {
	if g == nil {
		return true
	}
	g.dir.Close()
	return os.Remove(g.path) == nil
}

// killCgroup kills what is in the group of a job whose supervisor is gone, and tells whether
// nothing is left of it.
func killCgroup(id string) bool {
	path := cgroupPath(id)
	dir, err := os.Open(path)
	if err != nil {
		return true
	}
	g := &cgroup{path: path, dir: dir}
	g.kill()
	return g.remove()
}
