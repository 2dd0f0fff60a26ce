package project

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// Root is the tree that travels.
type Root struct {
	Dir  string // absolute, symlinks resolved
	Rel  string // from Dir to the directory the command was typed in, slash-separated; "" for Dir itself
	File *File  // its cyclops.toml; an empty one if there is none
	Path string // of the cyclops.toml; "" if there is none
}

// Find returns the root for a command typed in dir: the directory of the nearest cyclops.toml,
// else the top of the git work tree, else dir itself.
func Find(dir string) (*Root, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return nil, api.Errorf(api.Usage, "-C names a directory that exists", "unable to find the project: %w", err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, api.Errorf(api.Usage, "-C names a directory", "unable to find the project: %s is no directory", dir)
	}
	top, found, err := nearest(dir)
	if err != nil {
		return nil, err
	}
	r := &Root{Dir: top, File: &File{}}
	if rel, err := filepath.Rel(top, dir); err == nil && rel != "." {
		r.Rel = filepath.ToSlash(rel)
	}
	if found {
		r.Path = filepath.Join(top, FileName)
		r.File, err = Load(r.Path)
	}
	return r, err
}

// nearest walks up from dir. A cyclops.toml above the git work tree's top still counts: a
// project may hold several repositories.
func nearest(dir string) (top string, found bool, err error) {
	git := ""
	for d := dir; ; d = filepath.Dir(d) {
		_, err := os.Lstat(filepath.Join(d, FileName))
		if err == nil {
			return d, true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", false, api.Errorf(api.Usage, "", "unable to look for %s: %w", FileName, err)
		}
		if _, err := os.Lstat(filepath.Join(d, ".git")); err == nil && git == "" {
			git = d
		}
		if d == filepath.Dir(d) {
			break
		}
	}
	if git != "" {
		return git, false, nil
	}
	return dir, false, nil
}

// CheckShippable refuses roots that hold far more than a project: the file system's root, the
// home directory and what contains it.
func (r *Root) CheckShippable() error {
	home, err := os.UserHomeDir()
	if err == nil {
		home, err = filepath.EvalSymlinks(home)
	}
	tooBig := r.Dir == filepath.Dir(r.Dir)
	if err == nil && !tooBig {
		tooBig = r.Dir == home || strings.HasPrefix(home, strings.TrimSuffix(r.Dir, string(filepath.Separator))+string(filepath.Separator))
	}
	if !tooBig {
		return nil
	}
	return api.Errorf(api.Refused, "cd into the project, put a cyclops.toml at its top, or use --bare to ship nothing",
		"refusing to ship %s: it is, or contains, your home directory", r.Dir)
}

// Name is the project's name: of cyclops.toml, else of the directory.
func (r *Root) Name() string {
	if r.File.Name != "" {
		return r.File.Name
	}
	return filepath.Base(r.Dir)
}
