package scan

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
	gitindex "github.com/go-git/go-git/v5/plumbing/format/index"
)

// matcher stands in for git on a machine that has none. It knows .gitignore and what is tracked, but not the user's
// own excludes.
type matcher struct {
	rules   gitignore.Matcher
	tracked map[string]bool // files, and every directory above one
}

func (m *matcher) ignores(p string, isDir bool) bool {
	return !m.tracked[p] && m.rules.Match(strings.Split(p, "/"), isDir)
}

func (r *repo) listWithoutGit() error {
	patterns, err := gitignore.ReadPatterns(osfs.New(r.top), nil)
	if err != nil {
		return r.explain(err)
	}
	r.match = &matcher{rules: gitignore.NewMatcher(patterns), tracked: map[string]bool{}}
	f, err := os.Open(filepath.Join(r.top, ".git", "index"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return r.explain(err)
	}
	defer f.Close()
	var idx gitindex.Index
	if err := gitindex.NewDecoder(f).Decode(&idx); err != nil {
		return r.explain(err)
	}
	for _, e := range idx.Entries {
		for p := e.Name; p != "." && !r.match.tracked[p]; p = path.Dir(p) {
			r.match.tracked[p] = true
		}
	}
	return nil
}
