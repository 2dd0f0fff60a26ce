//go:build linux

package engine

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/supervise"
	"github.com/cyclops-fpga/cyclops/manifest"
)

const (
	// maxVictims bounds the jobs of one answer.
	maxVictims = 1000
	// idle is how long nothing may have happened to a file until it counts as left: an upload, a removal
	// or an installation may be at work on it.
	idle = time.Hour
)

// found is something that can be freed, and how.
type found struct {
	api.GCItem
	remove func() error
}

// GC tells what of the host can be freed, or frees it.
func (e *Engine) GC(ctx context.Context, r api.GCRequest) (api.GCReply, error) {
	if r.Age < 0 || r.Size < 0 || r.Age > int64(maxAge/time.Second) {
		return api.GCReply{}, api.Errorf(api.Invalid, "", "unable to keep %d seconds and %d bytes", r.Age, r.Size)
	}
	e.collecting.Lock()
	defer e.collecting.Unlock()
	reply, err := e.gcJobs(ctx, r)
	if err != nil {
		return reply, err
	}
	for _, find := range []func(context.Context) []found{
		e.findWorkspaces, e.findPacks, e.findUploads, e.findRemoved, e.findBinaries,
	} {
		for _, f := range find(ctx) {
			if r.Remove && ctx.Err() == nil {
				f.GCItem.Error = asErrorOrNil(f.remove())
			}
			reply.Items = append(reply.Items, f.GCItem)
		}
	}
	return reply, ctx.Err()
}

// maxAge bounds what is kept, for the sake of arithmetic.
const maxAge = 100 * 365 * 24 * time.Hour

func asErrorOrNil(err error) *api.Error {
	if err == nil {
		return nil
	}
	return api.AsError(err)
}

// gcJobs is GC of jobs: by the request, or else by the host's own retention.
func (e *Engine) gcJobs(ctx context.Context, r api.GCRequest) (api.GCReply, error) {
	reply := api.GCReply{Items: []api.GCItem{}}
	asked := rules{age: time.Duration(r.Age) * time.Second, size: r.Size}
	if asked.none() {
		asked = e.retention()
	}
	reply.Age, reply.Size = int64(asked.age/time.Second), asked.size
	if err := e.remeasure(ctx); err != nil {
		return reply, err
	}
	var err error
	if reply.Kept, err = e.kept(ctx); err != nil {
		return reply, err
	}
	trusted := e.trusted(asked)
	if trusted != asked {
		reply.Warning = fmt.Sprintf("no job is removed for its age: the clock of %s was set by %s since its executor started", e.Host, e.clock.set().Round(time.Second))
	}
	victims, err := e.plan(ctx, trusted, reply.Kept, maxVictims)
	if err != nil {
		return reply, err
	}
	reply.More = len(victims) == maxVictims
	failed := map[string]*api.Error{}
	freed := map[string]int64{}
	if r.Remove {
		done := e.sacrifice(ctx, victims)
		for _, f := range done.Failed {
			failed[f.ID] = f.Error
		}
		for _, r := range done.Removed {
			freed[r.ID] = r.FreedBytes
		}
	}
	for _, v := range victims {
		item := api.GCItem{Kind: api.GCJob, Name: v.row.ID, Bytes: v.bytes, Ended: timeOrNil(v.row.Ended), Why: v.why, Error: failed[v.row.ID]}
		if n, ok := freed[v.row.ID]; ok {
			item.Bytes = n
		}
		reply.Items = append(reply.Items, item)
	}
	return reply, nil
}

// entries lists a directory; what cannot be read is not offered.
func (e *Engine) entries(dir string) []fs.DirEntry {
	list, err := os.ReadDir(dir)
	if err != nil {
		e.Log.Warn("a directory is left out of what can be freed", "error", err)
	}
	return list
}

// untouched tells whether nothing happened to a file for so long, its name included.
func (e *Engine) untouched(path string, long time.Duration) bool {
	var st unix.Stat_t
	return unix.Lstat(path, &st) == nil && e.clock.Now().Sub(time.Unix(st.Ctim.Unix())) >= long
}

// findWorkspaces finds those that no job names.
func (e *Engine) findWorkspaces(ctx context.Context) (all []found) {
	for _, entry := range e.entries(e.Data.Workspaces()) {
		name := entry.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		if named, err := e.named(ctx, name); err != nil || named {
			continue
		}
		all = append(all, found{
			api.GCItem{Kind: api.GCWorkspace, Name: name, Bytes: usage(e.Data.Workspace(name)), Why: "no job names it"},
			func() error { return e.removeWorkspace(ctx, name) },
		})
	}
	return all
}

func (e *Engine) named(ctx context.Context, workspace string) (bool, error) {
	if e.busyWorkspaces()[workspace] {
		return true, nil
	}
	return e.Store.Named(ctx, workspace)
}

// removeWorkspace asks again, while no job can be accepted that names it.
func (e *Engine) removeWorkspace(ctx context.Context, name string) error {
	e.removing.Lock()
	named, err := e.named(ctx, name)
	path := ""
	if err == nil && !named {
		path, err = e.workspaceAside(manifest.NewID(), name)
	}
	e.removing.Unlock()
	switch {
	case named:
		return api.Errorf(api.Conflict, "", "a job names workspace %s now", name)
	case err != nil:
		return fmt.Errorf("unable to remove workspace %s: %w", name, err)
	case path == "":
		return nil
	}
	return supervise.RemoveTree(path)
}

// findPacks finds those that no snapshot draws on.
func (e *Engine) findPacks(ctx context.Context) (all []found) {
	packs, err := e.Inputs.Unnamed(ctx, e.clock.Now(), func(path string) bool { return e.untouched(path, idle) })
	if err != nil {
		e.Log.Warn("packs are left out of what can be freed", "error", err)
	}
	for _, p := range packs {
		all = append(all, found{
			api.GCItem{Kind: api.GCPack, Name: filepath.Base(e.Data.Pack(p.Sum)), Bytes: p.Size, Why: "no snapshot draws on it"},
			func() error { return e.Inputs.RemoveUnnamed(ctx, p, e.clock.Now()) },
		})
	}
	return all
}

// findUploads finds what nobody submitted.
func (e *Engine) findUploads(context.Context) (all []found) {
	for _, name := range e.Inputs.Stale(e.clock.Now()) {
		path := filepath.Join(e.Data.Incoming(), name)
		all = append(all, found{
			api.GCItem{Kind: api.GCUpload, Name: name, Bytes: usage(path), Why: "nobody submitted it"},
			func() error { return supervise.RemoveTree(path) },
		})
	}
	return all
}

// findRemoved finds what removals left that were cut short.
func (e *Engine) findRemoved(ctx context.Context) (all []found) {
	for _, path := range e.leftBehind(ctx) {
		if e.untouched(path, idle) {
			all = append(all, found{
				api.GCItem{Kind: api.GCRemoved, Name: filepath.Base(path), Bytes: usage(path), Why: "its job was removed"},
				func() error { return supervise.RemoveTree(path) },
			})
		}
	}
	return all
}

// leftBehind returns the directories of removed jobs that are there, also of those that are being removed.
func (e *Engine) leftBehind(ctx context.Context) (paths []string) {
	for _, entry := range e.entries(e.Data.Incoming()) {
		if strings.HasPrefix(entry.Name(), ".gone-") {
			paths = append(paths, filepath.Join(e.Data.Incoming(), entry.Name()))
		}
	}
	ids, err := e.Store.Removed(ctx)
	if err != nil {
		e.Log.Warn("removed jobs are left out of what can be freed", "error", err)
	}
	for _, id := range ids {
		if _, err := os.Lstat(e.Data.Job(id)); err == nil {
			paths = append(paths, e.Data.Job(id))
		}
	}
	return paths
}

// clear removes what the last daemon was removing when it left.
func (e *Engine) clear(paths []string) {
	for _, path := range paths {
		if err := supervise.RemoveTree(path); err != nil {
			e.Log.Warn("files of a removed job stay", "error", err)
		}
	}
}
