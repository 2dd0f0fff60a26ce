package scan

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// maxChanged paths of at most maxChangedBytes together go into a job: a tree of new files must not make a large one.
const (
	maxChanged      = 100
	maxChangedBytes = 16 << 10
)

// gitState is what the manifest says of the root's repository.
type gitState struct {
	commit, branch string
	dirty          bool     // anything in the repository differs from the commit
	changed        []string // what does so in the tree: the first paths, in order
	count          int      // of all of those
}

func (g *gitState) record() *manifest.Git {
	if g == nil {
		return nil
	}
	return &manifest.Git{Commit: g.commit, Branch: g.branch, Dirty: g.dirty, Changed: g.changed, ChangedCount: g.count}
}

// entryWords is how many words an entry of git status has, by its first letter, where it is not two. The last is the
// path, in which spaces separate nothing.
var entryWords = map[byte]int{'1': 9, '2': 10, 'u': 11}

// status asks git for commit, branch and what differs from the commit.
func (r *repo) status(ctx context.Context, ig *ignoreFile) (*gitState, error) {
	out, err := r.git(ctx, nil, "status", "-z", "--porcelain=v2", "--branch", "--untracked-files=normal", "--ignore-submodules=none")
	if err != nil {
		return nil, r.explain(err)
	}
	g, paths := parseStatus(string(out))
	g.keep(r.changedInTree(paths, ig))
	return g, nil
}

// parseStatus returns besides the paths of the repository that differ from the commit, in any order.
func parseStatus(out string) (g *gitState, paths []string) {
	g = new(gitState)
	moved := false
	for entry := range strings.SplitSeq(out, "\x00") {
		header, isHeader := strings.CutPrefix(entry, "# ")
		switch {
		case moved: // no entry, but where the file before was: a name like a header must not be taken for one
			paths, moved = append(paths, entry), false
		case isHeader:
			g.header(header)
		case entry != "":
			words := strings.SplitN(entry, " ", cmp.Or(entryWords[entry[0]], 2))
			paths, moved = append(paths, words[len(words)-1]), entry[0] == '2'
		}
	}
	g.dirty = len(paths) > 0
	return g, paths
}

func (g *gitState) header(line string) {
	word, value, _ := strings.Cut(line, " ")
	switch {
	case word == "branch.oid" && value != "(initial)":
		g.commit = value
	case word == "branch.head" && value != "(detached)":
		g.branch = value
	}
}

// changedInTree makes paths of the repository those of the tree, as JSON can carry them. What lies elsewhere or never
// travels is no input, and its name is no business of the host.
func (r *repo) changedInTree(paths []string, ig *ignoreFile) []string {
	var in []string
	for _, p := range paths {
		name, ok := r.inTree(p)
		switch {
		case r.prefix != "" && strings.HasSuffix(p, "/") && strings.HasPrefix(r.prefix+"/", p):
			in = append(in, "./") // the tree is new as a whole
		case ok && !ig.staysHome(name):
			in = append(in, strings.ToValidUTF8(name, "\uFFFD"))
		}
	}
	return in
}

// keep counts paths and keeps the first of them. A file that is only in git's index no more is named twice.
func (g *gitState) keep(paths []string) {
	slices.Sort(paths)
	paths = slices.Compact(paths)
	g.count = len(paths)
	room := maxChangedBytes
	for _, p := range paths[:min(len(paths), maxChanged)] {
		if room -= len(p); room < 0 {
			return
		}
		g.changed = append(g.changed, p)
	}
}
