package scan

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// repoSet opens each repository of the tree once.
type repoSet struct {
	mu   sync.Mutex
	open map[string]*repo
	full map[string]bool // those whose rules changed under the scan
}

// openRepo returns the repository whose work tree begins at base, or the one that the tree's root lies in; nil without git.
func (s *scanner) openRepo(ctx context.Context, base string) (*repo, error) {
	s.repos.mu.Lock()
	defer s.repos.mu.Unlock()
	if r, ok := s.repos.open[base]; ok {
		return r, nil
	}
	r, err := s.newRepo(ctx, base)
	if err != nil {
		return nil, err
	}
	s.repos.open[base] = r
	return r, nil
}

func (s *scanner) newRepo(ctx context.Context, base string) (*repo, error) {
	r := &repo{top: filepath.Join(s.root, filepath.FromSlash(base)), base: base}
	if base == "" {
		if r.top = findRepo(s.root); r.top == "" {
			return nil, nil
		}
		if rel, _ := filepath.Rel(r.top, s.root); rel != "." {
			r.prefix = filepath.ToSlash(rel)
		}
	}
	if s.unchangedRules(base) {
		r.known, r.watch = true, s.old.repos[base].watch
		return r, nil
	}
	s.learnt.Store(true)
	if _, err := exec.LookPath("git"); err != nil {
		return r, r.listWithoutGit()
	}
	if ours, err := r.watchRules(ctx, s.started); err != nil || !ours {
		return nil, err
	}
	return r, r.list(ctx)
}

// unchangedRules tells whether git's answers for the index still hold.
func (s *scanner) unchangedRules(base string) bool {
	if s.old == nil || s.repos.full[base] || s.old.ignoreSum != s.ignore.sum {
		return false
	}
	rules, ok := s.old.repos[base]
	if !ok || rules == nil || len(rules.watch) == 0 {
		return false
	}
	for _, list := range [][]watched{rules.watch, rules.ignores} {
		for _, w := range list {
			if w.racy || w.now() != w.stat {
				return false
			}
		}
	}
	return true
}

func (w watched) now() stat {
	st, err := lstat(w.path)
	if err != nil {
		return stat{}
	}
	if st.kind == symlink { // a shared excludes file may be one, or .git/HEAD of old
		if data, err := os.Readlink(w.path); err == nil {
			target := watched{path: filepath.Join(filepath.Dir(w.path), data)}
			if filepath.IsAbs(data) {
				target.path = data
			}
			if to, err := lstat(target.path); err == nil {
				return to
			}
		}
	}
	return st
}

func watch(path string, started int64) watched {
	w := watched{path: path}
	w.stat = w.now()
	w.racy = w.stat.racy(started)
	return w
}

// watchRules notes every file, but for .gitignore inside the tree, that git's answers depend on, before they are asked
// for. It returns false when git sees no repository here, whatever .git looks like.
func (r *repo) watchRules(ctx context.Context, started int64) (bool, error) {
	out, err := r.git(ctx, nil, "rev-parse", "--show-prefix", "--git-dir", "--git-common-dir")
	if err != nil && strings.Contains(err.Error(), "not a git repository") {
		return false, nil
	}
	lines := strings.Split(string(out), "\n")
	if err != nil || len(lines) < 3 {
		return false, r.explain(err)
	}
	if lines[0] != "" {
		return false, nil
	}
	dir, common := r.abs(lines[1]), r.abs(lines[2])
	paths := []string{
		filepath.Join(dir, "index"), filepath.Join(dir, "HEAD"), filepath.Join(dir, "logs", "HEAD"), filepath.Join(dir, "config.worktree"),
		filepath.Join(dir, "info", "sparse-checkout"), filepath.Join(common, "config"), filepath.Join(common, "info", "exclude"),
		filepath.Join(common, "packed-refs"),
	}
	if head, err := os.ReadFile(filepath.Join(dir, "HEAD")); err == nil {
		if ref, ok := bytes.CutPrefix(head, []byte("ref: ")); ok {
			paths = append(paths, filepath.Join(common, filepath.FromSlash(string(bytes.TrimSpace(ref)))))
		}
	}
	paths = append(paths, r.sharedRules(ctx)...)
	for dir := r.prefix; dir != ""; {
		if dir = filepath.ToSlash(filepath.Dir(dir)); dir == "." {
			dir = ""
		}
		paths = append(paths, filepath.Join(r.top, filepath.FromSlash(dir), ".gitignore"))
	}
	for _, p := range paths {
		r.watch = append(r.watch, watch(p, started))
	}
	return true, nil
}

func (r *repo) abs(path string) string {
	if path = filepath.FromSlash(path); filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(r.top, path)
}

// sharedRules returns the files outside the repository that can change what it ignores.
func (r *repo) sharedRules(ctx context.Context) []string {
	paths := []string{"/etc/gitconfig"}
	if home, err := os.UserHomeDir(); err == nil {
		paths = append(paths, filepath.Join(home, ".gitconfig"))
	}
	config := os.Getenv("XDG_CONFIG_HOME")
	if home, err := os.UserHomeDir(); err == nil && config == "" {
		config = filepath.Join(home, ".config")
	}
	if config != "" {
		paths = append(paths, filepath.Join(config, "git", "config"), filepath.Join(config, "git", "ignore"))
	}
	if file := os.Getenv("GIT_CONFIG_GLOBAL"); file != "" {
		paths = append(paths, file)
	}
	if out, err := r.git(ctx, nil, "config", "--type=path", "--get", "core.excludesFile"); err == nil {
		file := strings.TrimSuffix(string(out), "\n")
		if !filepath.IsAbs(file) {
			file = filepath.Join(r.top, file)
		}
		paths = append(paths, file)
	}
	return paths
}
