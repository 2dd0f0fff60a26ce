//go:build linux

package workspace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// SettledInputs reads what the last apply recorded, when none is under way: what lies in the workspace
// and is an input is then known as one.
func SettledInputs(ctx context.Context, data layout.Data, name string) (*Inputs, error) {
	j, err := openJournal(ctx, data.WorkspaceJournal(name))
	if err != nil {
		return nil, err
	}
	defer j.close()
	return LoadInputs(data, name)
}

// Untouched tells whether a file is still as an apply left it.
func (in *Inputs) Untouched(path string, st *unix.Stat_t) bool {
	e := in.find(path)
	return e != nil && e.stamp != stamp{} && e.stamp == stampOf(st)
}

// Inputs knows what the last apply put into a workspace.
type Inputs struct{ root *dir }

// LoadInputs reads what the last apply recorded. Nothing recorded is no inputs.
func LoadInputs(data layout.Data, name string) (*Inputs, error) {
	x, err := loadIndex(data.WorkspaceIndex(name))
	if err != nil || x == nil {
		return &Inputs{}, err
	}
	return &Inputs{root: x.root}, nil
}

// Input returns the input at a slash-separated path.
func (in *Inputs) Input(path string) (snapshot.Entry, bool) {
	if e := in.find(path); e != nil {
		return e.Entry, true
	}
	return snapshot.Entry{}, false
}

func (in *Inputs) find(path string) *entry {
	d := in.root
	for {
		name, rest, deeper := strings.Cut(path, "/")
		e := d.find(name)
		if e == nil || !deeper {
			return e
		}
		d, path = e.dir, rest
	}
}

// Files calls fn with every input that is no directory, in order, until it returns false.
func (in *Inputs) Files(fn func(path string, e snapshot.Entry) bool) { in.root.files("", fn) }

func (d *dir) files(path string, fn func(string, snapshot.Entry) bool) bool {
	for i := range d.all() {
		e := &d.entries[i]
		at := join(path, e.Name)
		if e.Kind == snapshot.Dir && !e.dir.files(at, fn) || e.Kind != snapshot.Dir && !fn(at, e.Entry) {
			return false
		}
	}
	return true
}

// Remove deletes a workspace with all that belongs to it and returns how many bytes that freed. No
// job may be using it. A workspace that is not there is no error.
func Remove(data layout.Data, name string) (freed int64, err error) {
	parent, err := openAt(unix.AT_FDCWD, data.Workspaces(), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return 0, fmt.Errorf("unable to remove workspace %s: %w", name, err)
	}
	defer unix.Close(parent)
	if err := removeTree(parent, name, &freed); err != nil {
		return freed, fmt.Errorf("unable to remove workspace %s: %w", name, err)
	}
	// The index goes before the journal: without both, what may be left is set aside and not believed.
	for _, path := range []string{data.WorkspaceIndex(name), data.WorkspaceJournal(name), sharePath(data.Workspaces(), name), stagePath(data.Workspaces(), name)} {
		if err := os.RemoveAll(path); err != nil {
			return freed, fmt.Errorf("unable to remove workspace %s: %w", name, err)
		}
	}
	return freed, nil
}

// removeTree deletes what stands at a name, also in directories that a job has closed, and adds what that frees.
func removeTree(dir int, name string, freed *int64) error {
	st, err := statAt(dir, name)
	if notThere(err) {
		return nil
	}
	if err != nil {
		return err
	}
	flags := 0
	if typeOf(st.Mode) == directory {
		flags = unix.AT_REMOVEDIR
		if err := removeBelow(dir, name, freed); err != nil {
			return err
		}
	}
	if err := writable(dir, func() error { return unix.Unlinkat(dir, name, flags) }); err != nil && !notThere(err) {
		return fmt.Errorf("%q: %w", name, err)
	}
	if st.Nlink == 1 || flags != 0 {
		*freed += st.Blocks * 512
	}
	return nil
}

func removeBelow(dir int, name string, freed *int64) error {
	fd, err := openDirAt(dir, name)
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, n := range names {
		if err := removeTree(fd, n, freed); err != nil {
			return err
		}
	}
	return nil
}
