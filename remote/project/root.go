package project

import (
	"os"
	"path/filepath"

	"github.com/cyclops-fpga/cyclops/remote/scan"
)

// Root is the tree that travels.
type Root struct {
	Dir  string // absolute, symlinks resolved
	Rel  string // from Dir to the directory the command was typed in, slash-separated; "" for Dir itself
	File *File  // its cyclops.toml; an empty one if there is none
	Path string // of the cyclops.toml; "" if there is none
}

// Find returns the root for a command typed in dir, and reads its cyclops.toml.
func Find(dir string) (*Root, error) {
	place, err := scan.Find(dir)
	if err != nil {
		return nil, err
	}
	r := &Root{Dir: place.Root, Rel: place.Dir, File: &File{}}
	path := filepath.Join(r.Dir, FileName)
	if _, err := os.Lstat(path); err == nil {
		r.Path = path
		r.File, err = Load(path)
		return r, err
	}
	return r, nil
}

// CheckShippable refuses roots that hold far more than a project.
func (r *Root) CheckShippable() error { return scan.Place{Root: r.Dir, Dir: r.Rel}.Check() }

// Name is the project's name: of cyclops.toml, else of the directory.
func (r *Root) Name() string {
	if r.File.Name != "" {
		return r.File.Name
	}
	return filepath.Base(r.Dir)
}
