//go:build linux

package engine

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// findBinaries finds the executors that no process runs, apart from the current one.
func (e *Engine) findBinaries(context.Context) (all []found) {
	current, err := os.Readlink(filepath.Join(e.Data.Bin(), "current"))
	if err != nil {
		return nil // none was installed here, or one is just now
	}
	running := executables()
	for _, entry := range e.entries(e.Data.Bin()) {
		name, path := entry.Name(), filepath.Join(e.Data.Bin(), entry.Name())
		if !strings.HasPrefix(name, "cyclopsd-") || name == filepath.Base(current) || running.has(path) || !e.untouched(path, idle) {
			continue
		}
		all = append(all, found{
			api.GCItem{Kind: api.GCBinary, Name: name, Bytes: usage(path), Why: "no process runs it"},
			func() error { return removeBinary(path) },
		})
	}
	return all
}

// removeBinary asks again: a supervisor may have been started of it.
func removeBinary(path string) error {
	if executables().has(path) {
		return api.Errorf(api.Conflict, "", "a process runs %s now", path)
	}
	return os.Remove(path)
}

// programs are the files that the processes of this user run.
type programs []os.FileInfo

func executables() (all programs) {
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, link := range links {
		// The link is followed, not read: it leads to the file under whatever name it has.
		if info, err := os.Stat(link); err == nil {
			all = append(all, info)
		}
	}
	return all
}

func (p programs) has(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return true // nothing is known of it
	}
	for _, other := range p {
		if os.SameFile(info, other) {
			return true
		}
	}
	return false
}
