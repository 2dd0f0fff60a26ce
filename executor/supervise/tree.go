//go:build linux

package supervise

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/layout"
)

// Mark is the variable that tells the processes of a job from all others.
const Mark = "CYCLOPS_JOB"

// killTries bounds how long processes that do not die of KILL, as in a hung mount, hold up a job's end.
const killTries = 40

// processes returns the processes that a job started: the descendants of root (0: none count)
// and those that bear the job's mark. self is never among them.
func processes(root int, id string) ([]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("unable to list processes: %w", err)
	}
	names, err := dir.Readdirnames(-1)
	if err = errors.Join(err, dir.Close()); err != nil {
		return nil, fmt.Errorf("unable to list processes: %w", err)
	}
	parent := make(map[int]int, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if ppid, alive := parentOf(pid); alive {
				parent[pid] = ppid
			}
		}
	}
	var found []int
	for pid := range parent {
		if pid != os.Getpid() && (descends(parent, pid, root) || marked(pid, id)) {
			found = append(found, pid)
		}
	}
	return found, nil
}

// parentOf reads the parent from /proc/PID/stat; a zombie is not alive.
func parentOf(pid int) (ppid int, alive bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	// The name in parentheses may hold anything, so the last one ends it.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 || fields[0][0] == 'Z' || fields[0][0] == 'X' {
		return 0, false
	}
	ppid, err = strconv.Atoi(string(fields[1]))
	return ppid, err == nil
}

// descends follows parents up; the bound is for a table that changed while it was read.
func descends(parent map[int]int, pid, root int) bool {
	for range len(parent) {
		up, ok := parent[pid]
		if !ok || root == 0 {
			return false
		}
		if up == root {
			return true
		}
		pid = up
	}
	return false
}

// marked tells whether a process was started with the job's mark. Others' processes cannot be asked.
func marked(pid int, id string) bool {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	mark := []byte(Mark + "=" + id + "\x00")
	return bytes.HasPrefix(env, mark) || bytes.Contains(env, append([]byte{0}, mark...))
}

// signalAll sends a signal to each process of a job and returns how many there were.
func signalAll(root int, id string, sig unix.Signal) (int, error) {
	pids, err := processes(root, id)
	for _, pid := range pids {
		unix.Kill(pid, sig) // it may have ended meanwhile, or be another user's by now
	}
	return len(pids), err
}

// KillMarked kills every process that bears the mark of a job or is in its control groups, again and again until none is
// left, and returns how many it met. It is for jobs whose supervisor is gone.
func KillMarked(ctx context.Context, data layout.Data, id string) (int, error) {
	met := 0
	wait := time.NewTimer(0)
	defer wait.Stop()
	for range killTries {
		n, err := signalAll(0, id, unix.SIGKILL)
		met = max(met, n)
		if err != nil || killCgroup(data.Groups(id)) && n == 0 {
			return met, err
		}
		wait.Reset(25 * time.Millisecond)
		select {
		case <-wait.C: // no event tells when a process that is not our child has ended
		case <-ctx.Done():
			return met, context.Cause(ctx)
		}
	}
	return met, fmt.Errorf("unable to kill the processes of job %s", id)
}
