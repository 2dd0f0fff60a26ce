package scan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// ProjectFile marks the root of a project.
const ProjectFile = "cyclops.toml"

// Place is where a command was given: the root of its tree, and the directory below it, slash-separated.
type Place struct {
	Root string // absolute, links resolved
	Dir  string // "" for the root itself
}

// Find returns the place of dir: below the nearest cyclops.toml, else git's top level, else dir itself.
func Find(dir string) (Place, error) {
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return Place{}, api.Errorf(api.Usage, "name an existing directory with -C", "unable to find %s: %w", dir, err)
	}
	root := nearest(abs, ProjectFile)
	if root == "" {
		root = findRepo(abs)
	}
	if root == "" {
		root = abs
	}
	rel, err := filepath.Rel(root, abs)
	if err != nil {
		return Place{}, fmt.Errorf("unable to find %s below %s: %w", abs, root, err)
	}
	if rel == "." {
		rel = ""
	}
	return Place{Root: root, Dir: filepath.ToSlash(rel)}, nil
}

func nearest(dir, name string) string {
	for {
		if st, err := lstat(filepath.Join(dir, name)); err == nil && st.kind != directory {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

// Check refuses roots that hold more than a project: the file system's, the home and what the home lies in.
func (p Place) Check() error {
	home, err := os.UserHomeDir()
	if err == nil {
		if real, err := filepath.EvalSymlinks(home); err == nil {
			home = real
		}
	}
	if p.Root != filepath.Dir(p.Root) && (err != nil || !within(home, p.Root)) {
		return nil
	}
	return api.Errorf(api.Refused, "run it in a project's directory, or with --bare to send nothing",
		"refused to send %s: it is the home directory or holds it", p.Root)
}

// within tells whether path is dir or lies below it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// maxProject keeps a workspace's name within what manifest.ValidWorkspaceName takes.
const maxProject = 100

// WorkspaceName returns the default workspace of a tree: two clones, or two machines, never share one.
func WorkspaceName(project, clientID, root string) string {
	key := sha256.Sum256([]byte(clientID + "\x00" + root))
	name := strings.Map(func(c rune) rune {
		if c == '_' || c == '-' || c == '.' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			return c
		}
		return '_'
	}, project)
	name = strings.TrimLeft(name[:min(len(name), maxProject)], ".-")
	if name == "" {
		name = "tree"
	}
	return name + "-" + hex.EncodeToString(key[:4])
}
