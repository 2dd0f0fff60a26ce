//go:build linux

package workspace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/boot"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// errMoved says that something changed the workspace between the plan and its execution.
var errMoved = errors.New("something changes the workspace meanwhile")

// maxTries bounds how often an apply begins again because jobs change the workspace meanwhile.
const maxTries = 3

func apply(ctx context.Context, req Request) (Report, error) {
	report, err := lockAndApply(ctx, req)
	switch {
	case err == nil || ctx.Err() != nil:
		return report, err
	case errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT):
		return report, api.Errorf(api.NoSpace, "free space on the host, or remove jobs there with `cyclops rm`",
			"unable to prepare workspace %s: %w", req.Name, err)
	}
	return report, fmt.Errorf("unable to prepare workspace %s: %w", req.Name, err)
}

func lockAndApply(ctx context.Context, req Request) (Report, error) {
	if !manifest.ValidWorkspaceName(req.Name) {
		return Report{}, fmt.Errorf("%q is no name of a workspace", req.Name)
	}
	j, err := openJournal(ctx, req.Data.WorkspaceJournal(req.Name))
	if err != nil {
		return Report{}, err
	}
	defer j.close()
	a := &applier{Request: req, journal: j, path: req.Data.Workspace(req.Name)}
	if req.Concurrent {
		if a.share, err = openShare(sharePath(req.Data.Workspaces(), req.Name)); err != nil {
			return Report{}, err
		}
	}
	report, err := a.tryAll(ctx)
	if err != nil && a.share != nil {
		a.share.Close()
		report.Share = nil
	}
	return report, err
}

func (a *applier) tryAll(ctx context.Context) (Report, error) {
	if a.share.behind(a.Owner, a.Created) {
		return a.follow(ctx)
	}
	if err := a.share.note(a.Owner, a.Created); err != nil {
		return Report{}, err
	}
	for try := 1; ; try++ {
		a.report = Report{Path: a.path, Displaced: a.report.Displaced, Warning: a.report.Warning, Share: a.share}
		err := a.run(ctx)
		if !errors.Is(err, errMoved) || try == maxTries {
			return a.report, err
		}
	}
}

// follow lets the job run on what a newer snapshot has put there.
func (a *applier) follow(ctx context.Context) (Report, error) {
	report := Report{Path: a.path, Share: a.share}
	if !a.New.IsZero() {
		tree, err := a.Content.Tree(ctx, a.New)
		if err != nil {
			return report, fmt.Errorf("unable to load snapshot: %w", err)
		}
		for i := range tree {
			count(&entry{Entry: tree[i]}, &report)
		}
	}
	var err error
	report.Start, err = Stamp(a.Data.Workspaces())
	return report, err
}

// applier is one apply, which holds the lock.
type applier struct {
	Request
	journal *journal
	share   *Share // nil: no other job runs here
	path    string
	root    int       // the open workspace
	made    bool      // the workspace was not there before
	instant time.Time // that every new, changed or restored input gets
	report  Report
}

func (a *applier) run(ctx context.Context) error {
	// Taken beside the plan: all that ran here before has ended, so that its outputs are older.
	stamped := make(chan error, 1)
	go func() {
		var err error
		a.instant, err = Stamp(a.Data.Workspaces())
		stamped <- err
	}()
	plan, now, old, err := a.prepare(ctx)
	if stampErr := <-stamped; err == nil {
		err = stampErr
	}
	if a.root != absent {
		defer unix.Close(a.root)
	}
	if err != nil {
		return err
	}
	return a.carryOut(ctx, plan, now, old)
}

// carryOut executes the plan, records what is then there and takes the start stamp.
func (a *applier) carryOut(ctx context.Context, plan *plan, now *dir, old *index) error {
	for i := range now.entries {
		count(&now.entries[i], &a.report)
	}
	a.report.Start = a.instant
	thisBoot := boot.ID() // empty where the kernel does not say: then no index is believed
	clean := old != nil && thisBoot != "" && old.boot == thisBoot && old.root.sum == a.New && slices.Equal(a.journal.snapshots, []manifest.Sum{a.New})
	if clean && plan.empty() && !plan.learnt {
		return nil
	}
	if !plan.empty() {
		if err := a.execute(ctx, plan, old); err != nil {
			return err
		}
	}
	next := &index{boot: thisBoot, root: now}
	if err := next.save(a.Data.WorkspaceIndex(a.Name)); err != nil {
		return err
	}
	if err := a.journal.record([]manifest.Sum{a.New}, false); err != nil {
		return err
	}
	// A tick behind the last write: what the job does to an input cannot leave its stat as it is.
	var err error
	a.report.Start, err = Stamp(a.Data.Workspaces())
	return err
}

// others returns what is known of the jobs that run here now, or nil when there are none.
func (a *applier) others() *Share {
	if a.share == nil || a.share.alone {
		return nil
	}
	return a.share
}

func count(e *entry, r *Report) {
	r.Bytes += e.Size
	if e.Kind == snapshot.Dir {
		r.Files += e.Files
	} else {
		r.Files++
	}
}

// prepare opens the workspace and plans.
func (a *applier) prepare(ctx context.Context) (*plan, *dir, *index, error) {
	a.root = absent
	old, err := loadIndex(a.Data.WorkspaceIndex(a.Name))
	if err != nil {
		return nil, nil, nil, err
	}
	known, err := a.known(ctx, old)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := a.openRoot(known != nil); err != nil {
		return nil, nil, nil, err
	}
	planRoot := a.root
	if a.made {
		planRoot = absent
	}
	plan, now, err := makePlan(ctx, a.Content, planRoot, known, a.New, a.others())
	return plan, now, old, err
}

// known returns all that an earlier apply may have put into the workspace, or nil when that cannot be told.
func (a *applier) known(ctx context.Context, old *index) (*dir, error) {
	var known *dir
	var indexed manifest.Sum
	if old != nil {
		known, indexed = old.root, old.root.sum
		if old.boot == "" || old.boot != boot.ID() {
			known.forget()
		}
	} else if len(a.journal.snapshots) > 0 {
		known = &dir{}
	}
	for _, sum := range a.journal.snapshots {
		if old != nil && sum == indexed {
			continue
		}
		if err := unite(ctx, a.Content, known, sum, 0); ctx.Err() != nil {
			return nil, ctx.Err()
		} else if err != nil {
			return nil, nil
		}
	}
	return known, nil
}

// unite adds to known what a snapshot has and it has not.
func unite(ctx context.Context, content snapshot.Loader, known *dir, sum manifest.Sum, depth int) error {
	if sum.IsZero() || known.sum == sum {
		return nil
	}
	if depth > snapshot.MaxDepth {
		return fmt.Errorf("more than %d directories deep", snapshot.MaxDepth)
	}
	tree, err := content.Tree(ctx, sum)
	if err != nil {
		return err
	}
	known.sum = manifest.Sum{}
	before := len(known.entries)
	for i := range tree {
		e := (&dir{entries: known.entries[:before]}).find(tree[i].Name)
		if e == nil {
			known.entries = append(known.entries, entry{Entry: tree[i]})
			e = &known.entries[len(known.entries)-1]
		}
		e.types |= typeOfKind(tree[i].Kind)
		if tree[i].Kind != snapshot.Dir {
			continue
		}
		if e.dir == nil {
			e.dir = &dir{}
		}
		if err := unite(ctx, content, e.dir, tree[i].Sum, depth+1); err != nil {
			return err
		}
	}
	slices.SortFunc(known.entries, func(a, b entry) int { return compare(a.Name, b.Name) })
	return nil
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// openRoot opens or makes the workspace. Without knowledge of what is an input in it, an old one is set
// aside: a file that the client has deleted must not pass for one that a job made.
func (a *applier) openRoot(known bool) error {
	parent, err := openAt(unix.AT_FDCWD, a.Data.Workspaces(), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return fmt.Errorf("unable to open %s: %w", a.Data.Workspaces(), err)
	}
	defer unix.Close(parent)
	a.root, err = openDirAt(parent, a.Name)
	switch {
	case err == nil && (known || isEmpty(a.path)):
		a.made = false
		return nil
	case err == nil:
		unix.Close(a.root)
		a.root = absent
		a.report.Warning = "what this workspace held before could not be told from inputs and was set aside"
		err = a.displace(parent, a.Name, a.Name)
	case notDirectory(err):
		err = a.displace(parent, a.Name, a.Name)
	case notThere(err):
		err = nil
	}
	if err == nil {
		err = unix.Mkdirat(parent, a.Name, 0o777)
	}
	if err == nil {
		a.made = true
		a.root, err = openDirAt(parent, a.Name)
	}
	if err != nil {
		return fmt.Errorf("unable to make %s: %w", a.path, err)
	}
	return nil
}

func isEmpty(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer f.Close()
	names, err := f.Readdirnames(1)
	return len(names) == 0 && err != nil
}

// displace moves what stands at a path to the directory for it, under the same path if that is free.
func (a *applier) displace(parent int, name, from string) error {
	dir, base, err := a.displacedDir(from)
	if err != nil {
		return fmt.Errorf("unable to move %q out of the way: %w", from, err)
	}
	defer dir.Close()
	rename := func() error { return unix.Renameat(parent, name, int(dir.Fd()), base) }
	err = writable(parent, rename)
	if errors.Is(err, unix.EACCES) && unlockAt(parent, name) == nil {
		err = rename() // a directory's own ".." changes too
	}
	if notThere(err) {
		return errMoved
	}
	if err != nil {
		return fmt.Errorf("unable to move %q out of the way: %w", from, err)
	}
	a.report.Displaced = append(a.report.Displaced, from)
	return nil
}

// displacedDir opens the directory that takes what is displaced and chooses a free name in it. What lies there
// already came from jobs, so that a symlink among it must not lead elsewhere.
func (a *applier) displacedDir(from string) (*os.File, string, error) {
	if err := os.MkdirAll(a.Displaced, 0o700); err != nil {
		return nil, "", err
	}
	root, err := os.OpenRoot(a.Displaced)
	if err != nil {
		return nil, "", err
	}
	defer root.Close()
	for i := 0; ; i++ {
		sub := path.Dir(from)
		if i > 0 {
			sub = path.Join(fmt.Sprintf("more-%d", i), sub)
		}
		if err := root.MkdirAll(sub, 0o700); err != nil && i < maxDisplaced {
			continue
		} else if err != nil {
			return nil, "", err
		}
		if _, err := root.Lstat(path.Join(sub, path.Base(from))); err == nil && i < maxDisplaced {
			continue
		}
		dir, err := root.Open(sub)
		return dir, path.Base(from), err
	}
}

// maxDisplaced bounds how often the same path can be displaced for one job.
const maxDisplaced = 1000
