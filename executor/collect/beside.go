//go:build linux

package collect

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// inode names a file whatever path leads to it.
type inode struct{ dev, ino uint64 }

// mark is the variable that every process of a job carries.
const mark = "CYCLOPS_JOB="

// settle keeps what may be this job's of what was found in a workspace that others use too. What one
// of them has open for writing is theirs, and half of it: they bring it when they end.
func (c *collector) settle() error {
	c.theirs = openByOthers(c.Job)
	c.found = slices.DeleteFunc(c.found, func(o output) bool { return c.notOurs(&o) })
	if c.Settled == nil {
		return nil
	}
	inputs, err := c.Settled()
	if err == nil {
		c.Inputs = inputs
	}
	return err
}

// notOurs tells whether a file was put there by an apply, for this job or for one beside it, or is being
// written by another job.
func (c *collector) notOurs(o *output) bool {
	if !c.undeclared || !c.Concurrent {
		return false
	}
	return c.theirs[inode{o.stat.Dev, o.stat.Ino}] || c.Inputs != nil && c.Inputs.Untouched(o.name, &o.stat)
}

// written tells whether a file has to come back though the client has the same bytes: make, which waits
// for it there, looks at times.
func (c *collector) written(o *output) bool {
	return c.Concurrent && !time.Unix(o.stat.Mtim.Unix()).Before(c.Start)
}

// openByOthers finds the files that processes of other jobs have open for writing. What cannot be looked
// at is no job's of this user.
func openByOthers(job string) map[inode]bool {
	found := map[inode]bool{}
	pids, err := os.ReadDir("/proc")
	if err != nil {
		return found
	}
	for _, p := range pids {
		if name := p.Name(); name[0] >= '1' && name[0] <= '9' {
			openBy("/proc/"+name, job, found)
		}
	}
	return found
}

func openBy(proc, job string, found map[inode]bool) {
	fds, err := os.ReadDir(proc + "/fd")
	if err != nil {
		return
	}
	var written []inode
	for _, fd := range fds {
		var st unix.Stat_t
		if unix.Stat(proc+"/fd/"+fd.Name(), &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
			continue
		}
		// The link's own mode says how the file is open.
		if info, err := os.Lstat(proc + "/fd/" + fd.Name()); err == nil && info.Mode()&0o200 != 0 {
			written = append(written, inode{st.Dev, st.Ino})
		}
	}
	if len(written) == 0 || !ofOther(proc, job) {
		return
	}
	for _, w := range written {
		found[w] = true
	}
}

// ofOther tells whether a process belongs to a job, but not to this one.
func ofOther(proc, job string) bool {
	env, err := os.ReadFile(proc + "/environ")
	if err != nil {
		return false
	}
	for v := range bytes.SplitSeq(env, []byte{0}) {
		if id, ok := strings.CutPrefix(string(v), mark); ok {
			return id != job
		}
	}
	return false
}
