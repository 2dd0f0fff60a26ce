package scan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// maxAsked is how many new names are put to git one by one; with more, its whole list is quicker.
const maxAsked = 2000

// watched is a file that git's rules come from, as it was when they were asked for.
type watched struct {
	path string // absolute
	stat stat   // zero: there was none
	racy bool
}

// repo is one git repository that the tree lies in or holds.
type repo struct {
	top     string          // absolute: its work tree
	base    string          // path of the work tree below the tree's root; "" too for one that begins above it
	prefix  string          // path of the tree's root below the work tree
	known   bool            // its rules are as they were for the index
	ignored map[string]bool // by path in the tree
	match   *matcher        // instead of ignored, where there is no git
	exec    map[string]bool // executable in git's index; only where files have no such bit
	watch   []watched       // but for .gitignore files inside the tree
}

// path returns where a path of the tree lies below the work tree.
func (r *repo) path(p string) string {
	if r.base != "" {
		return strings.TrimPrefix(p, r.base+"/")
	}
	if r.prefix != "" {
		return r.prefix + "/" + p
	}
	return p
}

// inTree is the other way of path; false for what lies outside the tree.
func (r *repo) inTree(p string) (string, bool) {
	if r.base != "" {
		return r.base + "/" + p, true
	}
	if r.prefix == "" {
		return p, true
	}
	return strings.CutPrefix(p, r.prefix+"/")
}

// ignores tells whether git ignores what is at a path of the tree.
func (r *repo) ignores(p string, isDir bool) bool {
	if r.match != nil {
		return r.match.ignores(r.path(p), isDir)
	}
	return r.ignored[p]
}

// git runs git in the work tree and returns what it prints. Its environment could point it at another repository.
func (r *repo) git(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", r.top, "-c", "core.fsmonitor=false"}, args...)...)
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); !foreignGit[name] {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "GIT_OPTIONAL_LOCKS=0", "LC_ALL=C")
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("unable to run git %s in %s: %w: %s", args[0], r.top, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

var foreignGit = map[string]bool{
	"GIT_DIR": true, "GIT_WORK_TREE": true, "GIT_INDEX_FILE": true, "GIT_PREFIX": true, "GIT_COMMON_DIR": true,
	"GIT_OBJECT_DIRECTORY": true, "GIT_NAMESPACE": true, "GIT_LITERAL_PATHSPECS": true,
}

// list asks git for everything it ignores below the tree's root. A repository that ignores the root itself has
// no say in it.
func (r *repo) list(ctx context.Context) error {
	args := []string{"ls-files", "-z", "-oi", "--exclude-standard", "--directory", "--"}
	if r.prefix != "" {
		args = append(args, ":(literal)"+r.prefix)
	}
	out, err := r.git(ctx, nil, args...)
	if err != nil {
		return r.explain(err)
	}
	files, dirs := splitListed(out)
	if dirs, err = r.check(ctx, dirs); err != nil {
		return r.explain(err)
	}
	r.ignored = map[string]bool{}
	for _, p := range append(files, dirs...) {
		if r.prefix != "" && (p == r.prefix || strings.HasPrefix(r.prefix, p+"/")) {
			r.ignored = map[string]bool{}
			return nil
		}
		if in, ok := r.inTree(p); ok {
			r.ignored[in] = true
		}
	}
	if runtime.GOOS == "windows" {
		return r.listExecutables(ctx)
	}
	return nil
}

// splitListed takes apart what ls-files --directory prints.
func splitListed(out []byte) (files, dirs []string) {
	for p := range strings.SplitSeq(string(out), "\x00") {
		if d, ok := strings.CutSuffix(p, "/"); ok {
			dirs = append(dirs, d)
		} else if p != "" {
			files = append(files, p)
		}
	}
	return files, dirs
}

// check returns those of paths that a rule names, or a rule for a directory above. ls-files alone will not do: it also
// lists a directory that no rule names because everything in it happens to be ignored.
func (r *repo) check(ctx context.Context, paths []string) ([]string, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	stdin := []byte(strings.Join(paths, "\x00") + "\x00")
	out, err := r.git(ctx, stdin, "check-ignore", "-z", "--stdin")
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) { // 1: none of them
		return nil, err
	}
	var named []string
	for p := range strings.SplitSeq(string(out), "\x00") {
		if p != "" {
			named = append(named, p)
		}
	}
	return named, nil
}

// listExecutables reads from git's index what a file system without an executable bit cannot tell.
func (r *repo) listExecutables(ctx context.Context) error {
	out, err := r.git(ctx, nil, "ls-files", "-z", "-s")
	if err != nil {
		return r.explain(err)
	}
	r.exec = map[string]bool{}
	for line := range strings.SplitSeq(string(out), "\x00") {
		info, p, _ := strings.Cut(line, "\t")
		if in, ok := r.inTree(p); ok && strings.HasPrefix(info, "100755 ") {
			r.exec[in] = true
		}
	}
	return nil
}

func (r *repo) explain(err error) error {
	return api.Errorf(api.Refused, "run git status there and mend what it says", "unable to learn what git ignores: %w", err)
}

// findRepo returns the work tree that dir lies in, or "".
func findRepo(dir string) string {
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}
