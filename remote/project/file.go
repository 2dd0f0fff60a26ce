// Package project finds the tree that a command was typed in and reads its cyclops.toml.
package project

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/human"
	"github.com/cyclops-fpga/cyclops/manifest/strict"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/scan"
)

// FileName is the name of a project's file; the directory it is in is the root.
const FileName = scan.ProjectFile

// File is a cyclops.toml, version 1; docs/cyclops-toml.md describes it.
type File struct {
	Version   int               `toml:"version"` // of the format; absent means 1
	Name      string            `toml:"name"`
	Host      string            `toml:"host"`
	Workspace string            `toml:"workspace"`
	Tools     []string          `toml:"tools"`
	SamePath  SamePath          `toml:"same_path"`
	Home      Home              `toml:"home"`
	SetUID    bool              `toml:"setuid"` // its jobs run set-uid programs
	Env       map[string]string `toml:"env"`
	Inputs    Inputs            `toml:"inputs"`
	Outputs   Outputs           `toml:"outputs"`
	Jobs      map[string]Job    `toml:"jobs"`
}

// Inputs says what travels beyond the rules of docs/inputs.md.
type Inputs struct {
	Git bool `toml:"git"` // ship .git too
}

// Outputs says what comes back; see docs/outputs.md.
type Outputs struct {
	Fetch []string    `toml:"fetch"`
	Keep  []string    `toml:"keep"`
	Limit human.Bytes `toml:"limit"`
}

// Job is a named job: `cyclops run NAME`.
type Job struct {
	Run      string            `toml:"run"`
	Steps    []Step            `toml:"steps"`
	Tools    []string          `toml:"tools"`
	Env      map[string]string `toml:"env"`
	Needs    map[string]int    `toml:"needs"`
	Timeout  hosts.Duration    `toml:"timeout"`
	Grace    hosts.Duration    `toml:"grace"`
	Priority manifest.Priority `toml:"priority"`
	Outputs  *Outputs          `toml:"outputs"`
	SamePath SamePath          `toml:"same_path"`
	Home     Home              `toml:"home"`
	SetUID   *bool             `toml:"setuid"`
}

// Step is a named phase of a job, given to /bin/sh -c.
type Step struct {
	Name string `toml:"name"`
	Run  string `toml:"run"`
}

// Load reads the cyclops.toml at file and checks everything that can be checked before a job.
func Load(file string) (*File, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, api.Errorf(api.Usage, "", "unable to read %s: %w", FileName, err)
	}
	return Parse(file, data)
}

// Parse reads data as a cyclops.toml named file.
func Parse(file string, data []byte) (*File, error) {
	f := new(File)
	if err := strict.Decode(file, data, f); err != nil {
		hint := "docs/cyclops-toml.md lists every key"
		var e *strict.Error
		if errors.As(err, &e) && e.Hint() != "" {
			hint = e.Hint()
		}
		return nil, api.Errorf(api.Usage, hint, "%w", err)
	}
	if err := f.check(); err != nil {
		return nil, api.Errorf(api.Usage, "docs/cyclops-toml.md lists every key", "%s: %w", file, err)
	}
	return f, nil
}

func (f *File) check() error {
	if f.Version != 0 && f.Version != 1 {
		return fmt.Errorf("version %d is not known: this Cyclops reads version 1", f.Version)
	}
	if f.Workspace != "" && !manifest.ValidWorkspaceName(f.Workspace) {
		return fmt.Errorf("workspace %q may hold only letters, digits, '.', '_' and '-'", f.Workspace)
	}
	if err := errors.Join(f.SamePath.Check(), f.Home.Check()); err != nil {
		return err
	}
	if err := f.Outputs.check(); err != nil {
		return err
	}
	if err := checkEnv(f.Env); err != nil {
		return err
	}
	for name, j := range f.Jobs {
		if err := j.check(); err != nil {
			return fmt.Errorf("jobs.%s: %w", name, err)
		}
	}
	return nil
}

func (j *Job) check() error {
	if (j.Run == "") == (len(j.Steps) == 0) {
		return errors.New("needs either run or steps")
	}
	seen := map[string]bool{}
	for i, s := range j.Steps {
		if s.Run == "" {
			return fmt.Errorf("step %d has nothing to run", i+1)
		}
		if s.Name != "" && seen[s.Name] {
			return fmt.Errorf("two steps are named %q", s.Name)
		}
		seen[s.Name] = true
	}
	for resource, n := range j.Needs {
		if n < 1 {
			return fmt.Errorf("needs %d of %s", n, resource)
		}
	}
	if err := CheckPriority(j.Priority); err != nil {
		return err
	}
	if err := errors.Join(j.SamePath.Check(), j.Home.Check()); err != nil {
		return err
	}
	if err := checkEnv(j.Env); err != nil {
		return err
	}
	if j.Outputs == nil {
		return nil
	}
	return j.Outputs.check()
}

// CheckPriority refuses a word that is no priority; the empty word is the default.
func CheckPriority(p manifest.Priority) error {
	switch p {
	case "", manifest.Interactive, manifest.Normal, manifest.Low:
		return nil
	}
	return fmt.Errorf("priority %q is none of interactive, normal, low", p)
}

func checkEnv(env map[string]string) error {
	for name := range env {
		if !manifest.ValidVariableName(name) {
			return fmt.Errorf("%q is no name of an environment variable", name)
		}
	}
	return nil
}

func (o *Outputs) check() error {
	for _, pattern := range append(append([]string{}, o.Fetch...), o.Keep...) {
		if err := CheckOutput(pattern); err != nil {
			return err
		}
	}
	return nil
}

// CheckOutput refuses a glob that leads out of the tree.
func CheckOutput(pattern string) error {
	if pattern == "" || !filepath.IsLocal(filepath.FromSlash(path.Clean(pattern))) {
		return fmt.Errorf("output %q leads out of the project", pattern)
	}
	if !doublestar.ValidatePattern(pattern) {
		return fmt.Errorf("output %q is no pattern: close its brackets", pattern)
	}
	return nil
}
