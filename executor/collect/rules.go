//go:build linux

package collect

import (
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// rule is one output glob and what it matched.
type rule struct {
	pattern string // as it was written
	glob    string
	base    string // directory above all that it can match; "" is the root
	fetch   bool
	fresh   bool     // matched something that counts
	stale   []string // what else it matched, up to maxStale paths
}

// maxStale bounds the paths listed for one glob that only older files match.
const maxStale = 100

// rules decides which files are outputs. Without globs every file that the job wrote is one.
type rules struct {
	globs    []*rule
	excludes []exclude
}

// newRules also returns the globs that cannot be understood.
func newRules(o manifest.Outputs) (*rules, []manifest.Refusal) {
	r := &rules{}
	var refused []manifest.Refusal
	add := func(patterns []string, fetch bool) {
		for _, p := range patterns {
			glob := path.Clean(strings.TrimPrefix(p, "./"))
			if p == "" || !doublestar.ValidatePattern(glob) {
				refused = append(refused, manifest.Refusal{Path: p, Reason: "is no pattern"})
				continue
			}
			base, _ := doublestar.SplitPattern(glob)
			if base == "." {
				base = ""
			}
			r.globs = append(r.globs, &rule{pattern: p, glob: glob, base: base, fetch: fetch})
		}
	}
	add(o.Fetch, true)
	add(o.Keep, false)
	for _, line := range o.Exclude {
		if e, ok := parseExclude(line); ok {
			r.excludes = append(r.excludes, e)
		}
	}
	return r, refused
}

// matches tells whether the glob matches a path or a directory above it.
func (r *rule) matches(name string) bool {
	for ; name != "."; name = path.Dir(name) {
		if doublestar.MatchUnvalidated(r.glob, name) {
			return true
		}
	}
	return false
}

// reaches tells whether something in a directory can match, so that a large tree is not walked for build/*.bin.
func (r *rule) reaches(dir string) bool {
	if r.glob == "." || within(r.base, dir) || r.matches(dir) {
		return true
	}
	if !within(dir, r.base) {
		return false
	}
	if strings.Contains(r.glob, "**") || strings.Contains(r.glob, "{") {
		return true
	}
	parts := strings.Split(r.glob, "/")
	depth := strings.Count(dir, "/") + 1
	return depth < len(parts) && doublestar.MatchUnvalidated(strings.Join(parts[:depth], "/"), dir)
}

// within tells whether name is dir or below it.
func within(name, dir string) bool {
	return dir == "" || name == dir || strings.HasPrefix(name, dir+"/")
}

func (r *rules) reach(dir string) bool {
	for _, g := range r.globs {
		if g.reaches(dir) {
			return true
		}
	}
	return false
}

// hides tells whether a file stands where a glob expects a directory.
func (r *rules) hides(name string) bool {
	for _, g := range r.globs {
		if g.base != "" && within(g.base, name) {
			return true
		}
	}
	return false
}

// match returns the rules that match a path.
func (r *rules) match(name string) []*rule {
	var found []*rule
	for _, g := range r.globs {
		if g.glob == "." || g.matches(name) {
			found = append(found, g)
		}
	}
	return found
}

// exclude is a line of .cyclopsignore, written as git's ignore files are.
type exclude struct {
	glob    string
	negated bool
	dirOnly bool
}

func parseExclude(line string) (exclude, bool) {
	line = strings.TrimRight(line, " \t\r")
	if line == "" || line[0] == '#' {
		return exclude{}, false
	}
	var e exclude
	line, e.negated = strings.CutPrefix(line, "!")
	line, e.dirOnly = strings.CutSuffix(line, "/")
	switch {
	case strings.HasPrefix(line, "/"):
		line = line[1:]
	case !strings.Contains(line, "/"):
		line = "**/" + line
	}
	e.glob = line
	return e, line != "" && doublestar.ValidatePattern(line)
}

// excluded tells whether a path, whose directories are not excluded, is no output. The last line that matches decides.
func (r *rules) excluded(name string, dir bool) bool {
	for i := len(r.excludes) - 1; i >= 0; i-- {
		e := r.excludes[i]
		if (dir || !e.dirOnly) && doublestar.MatchUnvalidated(e.glob, name) {
			return !e.negated
		}
	}
	return false
}
