//go:build linux

package supervise

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/boot"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// Each start of a job has a number, and who takes a number first has it: the supervisor that
// begins, or a daemon that finds none and sees to it that none will. Without that a supervisor that
// was held up while its daemon was killed would run a job that was recorded as lost, or one that
// was started again meanwhile.
//
// A claim is a symbolic link in the job's directory, which appears whole or not at all. It stays as
// long as the job does: a supervisor may be held up for that long.

// unclaimable is the target of a claim by which a daemon keeps supervisors from a number.
const unclaimable = "nobody"

// Attempt returns the number that the next start of a job gets.
func Attempt(data layout.Data, id string) int {
	for n := 1; ; n++ {
		if _, err := os.Lstat(data.Claim(id, n)); err != nil {
			return n
		}
	}
}

// claim begins a start, unless that is not to be any more.
func (l *Launch) claim(id string) error {
	if _, err := os.Lstat(l.Data.Manifest(id)); err == nil {
		return fmt.Errorf("unable to begin job %s: it has ended", id)
	}
	own, err := born(os.Getpid())
	if err != nil {
		return fmt.Errorf("unable to begin job %s: %w", id, err)
	}
	target := fmt.Sprintf("%d %s %s", os.Getpid(), own, boot.ID())
	err = failpoint.Do(failpoint.SuperviseClaim, func() error { return os.Symlink(target, l.Data.Claim(id, l.Attempt)) })
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("unable to begin job %s: start %d of it was given up", id, l.Attempt)
	}
	if err != nil {
		return fmt.Errorf("unable to begin job %s: %w", id, err)
	}
	return nil
}

// GiveUp sees to it that no supervisor begins the present start of a job. It returns false when one
// has begun.
func GiveUp(data layout.Data, id string) (bool, error) {
	n := Attempt(data, id)
	if n > 1 && holder(data, id) != unclaimable {
		return false, nil
	}
	err := os.Symlink(unclaimable, data.Claim(id, n))
	if errors.Is(err, os.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("unable to give up the start of job %s: %w", id, err)
	}
	return true, nil
}

// Begun tells whether a supervisor began the newest start of a job, and whether it is alive.
func Begun(data layout.Data, id string) (begun, alive bool) {
	pid, rest, ok := strings.Cut(holder(data, id), " ")
	if !ok {
		return false, false
	}
	n, err := strconv.Atoi(pid)
	if err != nil {
		return true, false
	}
	at, err := born(n)
	return true, err == nil && rest == at+" "+boot.ID()
}

// holder returns who has the newest number of a job; empty: no number was taken.
func holder(data layout.Data, id string) string {
	n := Attempt(data, id)
	if n == 1 {
		return ""
	}
	target, _ := os.Readlink(data.Claim(id, n-1))
	return target
}

// born returns when a process was started, in the kernel's ticks since boot, which tells it from a
// later one of the same number. A zombie is none any more.
func born(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 || fields[0][0] == 'Z' || fields[0][0] == 'X' {
		return "", unix.ESRCH
	}
	return string(fields[19]), nil
}
