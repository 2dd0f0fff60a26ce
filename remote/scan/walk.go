package scan

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// coarseTick is longer than any tick of a file system that keeps fractions of a second; fullTick is for those that do not.
const (
	coarseTick = int64(50e6)
	fullTick   = int64(2e9)
)

// racy tells whether what s describes can have changed behind an unchanged s, seen by a scan that started at that time.
func (s stat) racy(started int64) bool {
	return racyTime(s.mtime, started) || racyTime(s.ctime, started)
}

func racyTime(t, started int64) bool {
	if t%1e9 == 0 {
		return t >= started-fullTick
	}
	return t >= started-coarseTick
}

// task is a directory to look at.
type task struct {
	d     *dir
	known bool // d comes from the index
	repo  *repo
	inGit bool // below .git: nobody ignores anything here
	depth int
}

// walker hands directories to workers; the last one to find nothing left ends them all.
type walker struct {
	*scanner
	ctx   context.Context
	mu    sync.Mutex
	cond  sync.Cond
	tasks []task
	busy  int
	err   error
}

// walk brings the tree's structure and stats up to date.
func (s *scanner) walk(ctx context.Context) error {
	w := &walker{scanner: s, ctx: ctx}
	w.cond.L = &w.mu
	repo, err := s.openRepo(ctx, "")
	if err != nil {
		return err
	}
	w.tasks = []task{{d: s.tree, known: s.tree.stat.kind == directory, repo: repo}}
	var workers sync.WaitGroup
	for range max(2, min(8, runtime.GOMAXPROCS(0))) {
		workers.Go(w.work)
	}
	workers.Wait()
	return w.err
}

func (w *walker) work() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for len(w.tasks) == 0 && w.busy > 0 && w.err == nil {
			w.cond.Wait()
		}
		if w.err != nil || len(w.tasks) == 0 {
			w.cond.Broadcast()
			return
		}
		t := w.tasks[len(w.tasks)-1]
		w.tasks = w.tasks[:len(w.tasks)-1]
		w.busy++
		w.mu.Unlock()
		below, err := w.visit(t)
		w.mu.Lock()
		w.busy--
		w.tasks = append(w.tasks, below...)
		if err == nil {
			err = w.ctx.Err()
		}
		if w.err == nil {
			w.err = err
		}
		w.cond.Broadcast()
	}
}

// visit brings one directory up to date and returns those in it.
func (w *walker) visit(t task) ([]task, error) {
	if t.depth > snapshot.MaxDepth {
		return nil, unreadable(t.d.path, errors.New("too many directories below each other"))
	}
	full := filepath.Join(w.root, filepath.FromSlash(t.d.path))
	st, err := lstat(full)
	if err == nil && st.kind != directory {
		err = errNotDir
	}
	if err != nil {
		return nil, w.gone(t.d, err)
	}
	outer := t.repo
	if err := w.enter(&t, t.d.repo); err != nil {
		return nil, err
	}
	if !t.known || !w.rulesKnown(t.repo) || t.d.racy || t.d.stat != st {
		t.repo = outer
		if err := w.list(&t, full, st); err != nil {
			return nil, err
		}
	}
	return w.entries(t, full)
}

// enter makes a nested repository the one that has the say below t.
func (w *walker) enter(t *task, isRepo bool) error {
	if !isRepo || t.inGit || t.d.path == "" {
		return nil
	}
	r, err := w.openRepo(w.ctx, t.d.path)
	if r != nil {
		t.repo = r
	}
	return err
}

// rulesKnown tells whether the index's choice of names still holds.
func (w *walker) rulesKnown(r *repo) bool {
	if r == nil {
		return w.old != nil && w.old.ignoreSum == w.ignore.sum
	}
	return r.known
}

// gone marks a directory that vanished since it was listed, for prune.
func (w *walker) gone(d *dir, err error) error {
	if d.path == "" || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNotDir) {
		return unreadable(d.path, err)
	}
	d.stat = stat{}
	return nil
}

var errNotDir = errors.New("no directory any more")

// list reads the names of a directory. What the index knew of them is kept; where its rules hold, its choice too.
func (w *walker) list(t *task, full string, st stat) error {
	names, err := readDir(full)
	if err != nil {
		return w.gone(t.d, err)
	}
	w.learnt.Store(true)
	old := *t.d
	fresh := dir{path: old.path, stat: st, racy: st.racy(w.started), sum: old.sum, files: old.files, bytes: old.bytes, object: old.object}
	fresh.repo = slices.ContainsFunc(names, func(de fs.DirEntry) bool { return de.Name() == ".git" })
	if err := w.enter(t, fresh.repo); err != nil {
		return err
	}
	reuse := t.known && w.rulesKnown(t.repo)
	for _, de := range names {
		w.choose(*t, &old, &fresh, de, reuse)
	}
	fresh.dirty = old.dirty || old.stat.kind != directory || !sameNames(old.entries, fresh.entries)
	*t.d = fresh
	return nil
}

func sameNames(a, b []entry) bool {
	return slices.EqualFunc(a, b, func(x, y entry) bool { return x.name == y.name && x.stat.kind == y.stat.kind })
}

func readDir(full string) ([]fs.DirEntry, error) {
	f, err := os.Open(full)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.ReadDir(-1)
	slices.SortFunc(names, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return names, err
}

// choose puts one name of a listing among those that travel or those that do not.
func (w *walker) choose(t task, old, fresh *dir, de fs.DirEntry, reuse bool) {
	name, k := de.Name(), kindOfEntry(de)
	path := fresh.join(name)
	before := old.find(name)
	switch {
	case k == special || own(name):
		fresh.skipped = append(fresh.skipped, skipped{name, special})
	case name == ".git" && !t.inGit && !w.withGit:
		fresh.skipped = append(fresh.skipped, skipped{name, special})
	case reuse && before != nil && before.stat.kind.sameType(k):
		fresh.entries = append(fresh.entries, *before)
	case reuse && old.findSkipped(name) != nil && old.findSkipped(name).kind.sameType(k):
		fresh.skipped = append(fresh.skipped, skipped{name, k})
	case w.ignore.excludes(path, k == directory),
		t.repo != nil && !t.repo.known && !t.inGit && t.repo.ignores(path, k == directory):
		fresh.skipped = append(fresh.skipped, skipped{name, k})
	default:
		e := entry{name: name, stat: stat{kind: k}, unknown: t.repo != nil && t.repo.known && !t.inGit && name != ".git"}
		if before != nil && before.stat.kind.sameType(k) {
			fromIndex := *before
			fromIndex.unknown = e.unknown
			e = fromIndex
		}
		if e.stat.kind == directory && e.dir == nil {
			e.dir = &dir{path: path, dirty: true}
		}
		if name == ".gitignore" && e.unknown {
			w.rulesChanged(t.repo)
		}
		fresh.entries = append(fresh.entries, e)
	}
}

// rulesChanged makes the scan ask git for everything again: a new .gitignore can turn what was chosen before.
func (w *walker) rulesChanged(r *repo) {
	w.repos.mu.Lock()
	defer w.repos.mu.Unlock()
	w.repos.full[r.base] = true
}

func kindOfEntry(de fs.DirEntry) kind {
	switch {
	case de.Type().IsRegular():
		return regular
	case de.IsDir():
		return directory
	case de.Type()&fs.ModeSymlink != 0:
		return symlink
	}
	return special
}

// entries brings the stats of what is in a directory up to date.
func (w *walker) entries(t task, full string) ([]task, error) {
	var below []task
	kept := t.d.entries[:0]
	for i := range t.d.entries {
		e := &t.d.entries[i]
		if e.stat.kind == directory {
			below = append(below, task{d: e.dir, known: e.dir.stat.kind == directory, repo: t.repo, inGit: t.inGit || e.name == ".git", depth: t.depth + 1})
			kept = append(kept, *e)
			continue
		}
		ok, err := w.file(t, e, full+string(filepath.Separator)+e.name)
		if err != nil {
			return nil, err
		}
		if ok {
			kept = append(kept, *e)
		}
	}
	if len(kept) < len(t.d.entries) {
		t.d.racy, t.d.dirty = true, true
		w.learnt.Store(true)
	}
	clear(t.d.entries[len(kept):])
	t.d.entries = kept
	w.files.Add(int64(len(kept)))
	return below, nil
}

// file compares one file with what the index knows of it; false when it is gone or is something else by now.
func (w *walker) file(t task, e *entry, full string) (bool, error) {
	st, err := lstat(full)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, unreadable(t.d.join(e.name), err)
	}
	if st.kind == regular && runtime.GOOS == "windows" {
		st.kind = w.executableIn(t, e)
	}
	if !st.kind.sameType(e.stat.kind) {
		return false, nil
	}
	if e.known && !e.racy && e.stat == st {
		return true, nil
	}
	w.learnt.Store(true)
	if e.stat.kind != st.kind || e.stat.size != st.size {
		t.d.dirty = true
	}
	e.stat, e.known = st, false
	if st.kind == symlink {
		return true, w.readlink(t.d, e, full)
	}
	return true, nil
}

// executableIn tells the kind of a regular file where the file system has no executable bit.
func (w *walker) executableIn(t task, e *entry) kind {
	switch {
	case t.repo == nil:
		return regular
	case t.repo.known:
		return max(e.stat.kind, regular)
	case t.repo.exec[t.d.join(e.name)]:
		return executable
	}
	return regular
}

func (w *walker) readlink(d *dir, e *entry, full string) error {
	target, err := os.Readlink(full)
	if err != nil {
		return unreadable(d.join(e.name), err)
	}
	target = filepath.ToSlash(target)
	d.dirty = d.dirty || target != e.target
	e.target, e.known, e.racy, e.sum = target, true, e.stat.racy(w.started), manifest.Sum{}
	return nil
}
