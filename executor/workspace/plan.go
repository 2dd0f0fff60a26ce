//go:build linux

package workspace

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// plan is what must change in a workspace, in the order of its fields.
type plan struct {
	clears []clearing
	mkdirs []string // parents first
	writes []write
	adds   bool // some path was never an input before
	learnt bool // stats differ from those of the index
}

// clearing takes away what stands at a path.
type clearing struct {
	path string
	how  clearMode
}

type clearMode uint8

const (
	unlink        clearMode = iota
	rmdir                   // only when empty
	rmdirOrMove             // what jobs made inside is displaced
	moveDisplaced           // it is a job's
)

// write puts one file or symlink into a directory.
type write struct {
	dir      string
	e        *entry // its stamp is set
	replace  bool   // something of the same sort stands there
	restored bool
	pack     int // place of the content
	offset   int64
}

func (p *plan) empty() bool { return len(p.clears)+len(p.mkdirs)+len(p.writes) == 0 }

// planner compares a workspace with what is known of it and what is wanted. It changes nothing
// but the rights of directories that it could not read otherwise.
type planner struct {
	ctx     context.Context
	content snapshot.Loader
	others  *Share // of jobs that run meanwhile; nil: none do
	group   *errgroup.Group
	mu      sync.Mutex
	plan    plan
}

// absent stands for the descriptor of a directory that does not exist.
const absent = -1

// makePlan returns the plan that leads from known to the snapshot and the directory that is then there.
func makePlan(ctx context.Context, content snapshot.Loader, root int, known *dir, want manifest.Sum, others *Share) (*plan, *dir, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	p := &planner{ctx: ctx, content: content, others: others, group: group}
	out := &dir{sum: want}
	group.Go(func() error { return p.dir(root, "", known, out, 0) })
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	return &p.plan, out, nil
}

func (p *planner) add(change func(*plan)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.plan)
}

// dir fills out, whose sum is set, and plans all below it.
func (p *planner) dir(fd int, path string, known, out *dir, depth int) error {
	if err := p.fill(path, known, out, depth); err != nil {
		return err
	}
	rest := known.all()
	for i := range out.entries {
		e := &out.entries[i]
		for len(rest) > 0 && rest[0].Name < e.Name {
			if err := p.gone(fd, path, &rest[0]); err != nil {
				return err
			}
			rest = rest[1:]
		}
		var k *entry
		if len(rest) > 0 && rest[0].Name == e.Name {
			k, rest = &rest[0], rest[1:]
		}
		if err := p.wanted(fd, path, e, k, depth); err != nil {
			return err
		}
	}
	for i := range rest {
		if err := p.gone(fd, path, &rest[i]); err != nil {
			return err
		}
	}
	return nil
}

func (d *dir) all() []entry {
	if d == nil {
		return nil
	}
	return d.entries
}

// fill sets the entries of a directory from what is known or from the snapshot.
func (p *planner) fill(path string, known, out *dir, depth int) error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	if depth > snapshot.MaxDepth {
		return fmt.Errorf("unable to apply snapshot: %.200q… is more than %d directories deep", path, snapshot.MaxDepth)
	}
	if out.sum.IsZero() {
		return nil
	}
	if known != nil && known.sum == out.sum {
		out.entries = make([]entry, len(known.entries))
		for i := range known.entries {
			out.entries[i] = entry{Entry: known.entries[i].Entry, types: known.entries[i].types}
		}
		return nil
	}
	tree, err := p.content.Tree(p.ctx, out.sum)
	if err != nil {
		return fmt.Errorf("unable to load directory %q of snapshot: %w", path, err)
	}
	out.entries = make([]entry, len(tree))
	for i := range tree {
		out.entries[i] = entry{Entry: tree[i], types: typeOfKind(tree[i].Kind)}
	}
	return nil
}

func (p *planner) wanted(fd int, dirPath string, e, k *entry, depth int) error {
	if k == nil {
		p.add(func(pl *plan) { pl.adds = true })
	}
	var err error
	if e.Kind == snapshot.Dir {
		err = p.subdir(fd, join(dirPath, e.Name), e, k, depth+1)
	} else {
		err = p.leaf(fd, dirPath, e, k)
	}
	if err != nil {
		return fmt.Errorf("unable to check %q in the workspace: %w", join(dirPath, e.Name), err)
	}
	return nil
}

// subdir plans a directory that the snapshot has, in a goroutine of its own if there is one to spare.
func (p *planner) subdir(fd int, path string, e, k *entry, depth int) error {
	e.dir = &dir{sum: e.Sum}
	var known *dir
	if k != nil {
		known = k.dir
	}
	sub, err := p.enter(fd, path, e.Name, k)
	if err != nil {
		return err
	}
	visit := func() error {
		if sub != absent {
			defer unix.Close(sub)
		}
		return p.dir(sub, path, known, e.dir, depth)
	}
	if sub != absent && p.group.TryGo(visit) {
		return nil
	}
	return visit()
}

// enter opens a directory that is to be there, or plans to make it and returns absent.
func (p *planner) enter(fd int, path, name string, k *entry) (int, error) {
	make := func() (int, error) {
		p.add(func(pl *plan) { pl.mkdirs = append(pl.mkdirs, path) })
		return absent, nil
	}
	if fd == absent {
		return make()
	}
	sub, err := openDirAt(fd, name)
	switch {
	case err == nil:
		return sub, nil
	case notThere(err):
		return make()
	case !notDirectory(err):
		return absent, err
	}
	st, err := statAt(fd, name)
	if err != nil {
		return absent, err
	}
	how := moveDisplaced
	if k != nil && k.types&typeOf(st.Mode) != 0 {
		how = unlink
	}
	p.add(func(pl *plan) { pl.clears = append(pl.clears, clearing{path, how}) })
	return make()
}

// leaf plans a file or symlink that the snapshot has.
func (p *planner) leaf(fd int, dirPath string, e, k *entry) error {
	w := write{dir: dirPath, e: e, restored: k != nil && k.Entry == e.Entry}
	if fd == absent {
		p.add(func(pl *plan) { pl.writes = append(pl.writes, w) })
		return nil
	}
	st, err := statAt(fd, e.Name)
	if notThere(err) && w.restored && p.others != nil {
		return p.leave() // a job took it away, perhaps to write it anew
	}
	if notThere(err) {
		p.add(func(pl *plan) { pl.writes = append(pl.writes, w) })
		return nil
	}
	if err != nil {
		return err
	}
	untouched := k != nil && k.stamp != stamp{} && k.stamp == stampOf(&st) && (k.Kind == snapshot.Symlink || k.Size == st.Size)
	if untouched && k.Entry == e.Entry {
		e.stamp = k.stamp
		return nil
	}
	found := typeOf(st.Mode)
	if found == typeOfKind(e.Kind) {
		if !untouched {
			if same, err := p.adopt(fd, e, &st); same || err != nil {
				return err
			}
			if p.others != nil && (w.restored || p.others.gave(join(dirPath, e.Name), e.Sum)) {
				return p.leave()
			}
		}
		w.replace = true
		p.add(func(pl *plan) { pl.writes = append(pl.writes, w) })
		return nil
	}
	return p.inTheWay(fd, w, k, found)
}

// leave lets a job that runs here have a path. Without a stamp the next apply looks at it again.
func (p *planner) leave() error {
	p.add(func(pl *plan) { pl.learnt = true })
	return nil
}

// inTheWay plans to clear what stands where a file or symlink belongs.
func (p *planner) inTheWay(fd int, w write, k *entry, found fileType) error {
	path := join(w.dir, w.e.Name)
	var clears []clearing
	switch ours := k != nil && k.types&found != 0; {
	case ours && found == directory:
		var err error
		if clears, err = p.below(nil, fd, path, k); err != nil {
			return err
		}
		clears = append(clears, clearing{path, rmdirOrMove})
	case ours:
		w.replace = true
	default:
		clears = append(clears, clearing{path, moveDisplaced})
	}
	p.add(func(pl *plan) {
		pl.clears = append(pl.clears, clears...)
		pl.writes = append(pl.writes, w)
	})
	return nil
}

// adopt takes a file or symlink as it is, times included, when it is what the snapshot wants.
func (p *planner) adopt(fd int, e *entry, st *unix.Stat_t) (bool, error) {
	if e.Kind == snapshot.Symlink {
		if readlinkAt(fd, e.Name) != e.Target {
			return false, nil
		}
	} else if st.Size != e.Size || !rightMode(st.Mode, e.Kind) {
		return false, nil
	} else if sum, err := p.sumOf(fd, e.Name, st); err != nil || sum != e.Sum {
		return false, err
	}
	e.stamp = stampOf(st)
	p.add(func(pl *plan) { pl.learnt = true })
	return true, nil
}

// rightMode tells whether the owner has the rights that an input gives.
func rightMode(mode uint32, kind snapshot.Kind) bool {
	return mode&0o7700 == ownerMode(kind)
}

func ownerMode(kind snapshot.Kind) uint32 {
	if kind == snapshot.Executable {
		return 0o700
	}
	return 0o600
}

// sumOf returns the digest of a file that stays what st says, else one that no file has.
func (p *planner) sumOf(fd int, name string, st *unix.Stat_t) (manifest.Sum, error) {
	got, err := openAt(fd, name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err == unix.EACCES || notThere(err) || notDirectory(err) {
		return manifest.Sum{}, nil
	}
	if err != nil {
		return manifest.Sum{}, err
	}
	file := os.NewFile(uintptr(got), name)
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, &cancellable{p.ctx, io.LimitReader(file, st.Size+1)}); err != nil {
		return manifest.Sum{}, err
	}
	var after unix.Stat_t
	if err := unix.Fstat(got, &after); err != nil || stampOf(&after) != stampOf(st) || after.Size != st.Size {
		return manifest.Sum{}, err
	}
	return manifest.Sum(h.Sum(nil)), nil
}

// cancellable is a reader that ends with its context.
type cancellable struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancellable) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}

// gone plans to take away an input that the snapshot does not have.
func (p *planner) gone(fd int, dirPath string, k *entry) error {
	if fd == absent {
		return nil
	}
	clears, err := p.removal(nil, fd, join(dirPath, k.Name), k)
	if err != nil {
		return fmt.Errorf("unable to check %q in the workspace: %w", join(dirPath, k.Name), err)
	}
	p.add(func(pl *plan) { pl.clears = append(pl.clears, clears...) })
	return nil
}

// removal takes away an input if what stands there can be it; another sort of file is a job's.
func (p *planner) removal(clears []clearing, fd int, path string, k *entry) ([]clearing, error) {
	st, err := statAt(fd, k.Name)
	if notThere(err) {
		return clears, nil
	}
	if err != nil {
		return nil, err
	}
	found := typeOf(st.Mode)
	if k.types&found == 0 {
		return clears, nil
	}
	if found != directory {
		if p.others != nil && k.stamp != stampOf(&st) {
			return clears, nil // a job wrote it since
		}
		return append(clears, clearing{path, unlink}), nil
	}
	if clears, err = p.below(clears, fd, path, k); err != nil {
		return nil, err
	}
	return append(clears, clearing{path, rmdir}), nil
}

// below takes away the inputs in a directory, not the directory.
func (p *planner) below(clears []clearing, fd int, path string, k *entry) ([]clearing, error) {
	sub, err := openDirAt(fd, k.Name)
	if err != nil {
		return nil, err
	}
	defer unix.Close(sub)
	for i := range k.dir.all() {
		e := &k.dir.entries[i]
		if clears, err = p.removal(clears, sub, join(path, e.Name), e); err != nil {
			return nil, err
		}
	}
	return clears, p.ctx.Err()
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
