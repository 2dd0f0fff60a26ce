package scan

import (
	"context"
	"fmt"
	"os/exec"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// take does the work of Take but for reading and writing the index.
func (s *scanner) take(ctx context.Context) (*Tree, error) {
	st, err := lstat(s.root)
	if err != nil || st.kind != directory {
		return nil, api.Errorf(api.Usage, "name the directory of a project with -C", "unable to take a snapshot of %s: it is no directory", s.root)
	}
	if s.ignore, err = readIgnoreFile(s.root); err != nil {
		return nil, err
	}
	s.tree = &dir{dirty: true}
	if s.old != nil {
		s.tree = s.old.tree
	}
	if err := s.choose(ctx); err != nil {
		return nil, err
	}
	if err := s.read(ctx); err != nil {
		return nil, err
	}
	if _, err := s.tree.build(); err != nil {
		return nil, fmt.Errorf("unable to describe %s: %w", s.root, err)
	}
	return &Tree{
		Root: s.tree.sum, Files: s.tree.files, Bytes: s.tree.bytes, Git: s.git.record(), Excludes: s.ignore.globs,
		Read: s.hashed.Load(), dir: s.root, root: s.tree,
	}, nil
}

// choose settles which names travel. Where git's rules turn out to have changed, its repository is gone through once more.
func (s *scanner) choose(ctx context.Context) error {
	s.repos.full = map[string]bool{}
	for {
		before := len(s.repos.full)
		s.repos.open = map[string]*repo{}
		s.files.Store(0)
		if err := s.walk(ctx); err != nil {
			return err
		}
		if len(s.repos.full) > before {
			continue
		}
		ignored, err := s.askNew(ctx)
		if err != nil {
			return err
		}
		if len(s.repos.full) == before {
			s.prune(s.tree, ignored)
			return nil
		}
	}
}

// askNew asks git about the names that the index did not have.
func (s *scanner) askNew(ctx context.Context) (map[string]bool, error) {
	unknown := map[string][]string{}
	s.gather(s.tree, "", unknown)
	ignored := map[string]bool{}
	for base, paths := range unknown {
		r := s.repos.open[base]
		if len(paths) > maxAsked {
			s.repos.full[base] = true
			continue
		}
		for i, p := range paths {
			paths[i] = r.path(p)
		}
		named, err := r.check(ctx, paths)
		if err != nil {
			return nil, r.explain(err)
		}
		for _, p := range named {
			if in, ok := r.inTree(p); ok {
				ignored[in] = true
			}
		}
	}
	return ignored, nil
}

// gather collects the unknown names below d by repository.
func (s *scanner) gather(d *dir, base string, unknown map[string][]string) {
	for i := range d.entries {
		e := &d.entries[i]
		if e.unknown {
			unknown[base] = append(unknown[base], d.join(e.name))
		}
		if e.dir != nil {
			inner := base
			if e.dir.repo && s.repos.open[e.dir.path] != nil {
				inner = e.dir.path
			}
			s.gather(e.dir, inner, unknown)
		}
	}
}

// prune takes out what git ignores and directories that vanished. An ignored directory that holds something tracked stays.
func (s *scanner) prune(d *dir, ignored map[string]bool) {
	kept := d.entries[:0]
	for _, e := range d.entries {
		if e.dir != nil {
			s.prune(e.dir, ignored)
		}
		vanished := e.dir != nil && e.dir.stat.kind != directory
		drop := e.unknown && ignored[d.join(e.name)] && (e.dir == nil || len(e.dir.entries) == 0)
		e.unknown = false
		switch {
		case vanished:
			d.racy, d.dirty = true, true
			s.learnt.Store(true)
		case drop:
			d.skip(e.name, e.stat.kind)
			d.dirty = true
		default:
			kept = append(kept, e)
		}
	}
	clear(d.entries[len(kept):])
	d.entries = kept
}

// read hashes what changed and meanwhile asks git for the state of the root's repository.
func (s *scanner) read(ctx context.Context) error {
	jobs := unread(s.tree, nil)
	r := s.repos.open[""]
	_, missing := exec.LookPath("git")
	switch {
	case r == nil || missing != nil:
		return s.hash(ctx, jobs)
	case r.known && len(jobs) == 0 && !anyDirty(s.tree) && s.old.git != nil:
		s.git = s.old.git
		return nil
	}
	done := make(chan error, 1)
	go func() {
		var err error
		s.git, err = r.status(ctx, s.ignore)
		done <- err
	}()
	err := s.hash(ctx, jobs)
	if statusErr := <-done; err == nil {
		err = statusErr
	}
	return err
}

func anyDirty(d *dir) bool {
	if d.dirty {
		return true
	}
	for i := range d.entries {
		if sub := d.entries[i].dir; sub != nil && anyDirty(sub) {
			return true
		}
	}
	return false
}
