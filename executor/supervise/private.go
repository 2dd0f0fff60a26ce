//go:build linux

package supervise

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/environ"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/samepath"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// privateHome is the name of a job's own home in its temporary directory.
const privateHome = "home"

// private returns env with a TMPDIR, and where it asks for one a HOME, of this job alone.
func (s *supervisor) private(env []string) ([]string, error) {
	tmp, err := makeTmp(s.launch.Data, s.job.ID, environ.Get(env, "TMPDIR"))
	if err != nil {
		return nil, err
	}
	real := environ.Get(env, "HOME")
	env = environ.Set(env, "TMPDIR", tmp)
	if s.job.Home != manifest.PrivateHome {
		return env, nil
	}
	home, err := s.makeHome(tmp)
	if err != nil {
		return nil, err
	}
	env = slices.DeleteFunc(env, func(v string) bool { return leadsHome(v, real) })
	return environ.Set(env, "HOME", home), nil
}

// makeHome makes a home in the job's temporary directory; a job beside one that runs shares its home.
func (s *supervisor) makeHome(tmp string) (string, error) {
	if s.job.Beside != "" {
		theirs, err := filepath.EvalSymlinks(filepath.Join(s.launch.Data.JobTmp(s.job.Beside), privateHome))
		if err == nil {
			return theirs, nil
		}
	}
	home := filepath.Join(tmp, privateHome)
	if err := os.Mkdir(home, 0o700); err != nil {
		return "", fmt.Errorf("unable to make the job's home: %w", err)
	}
	return home, nil
}

// leadsHome tells whether a variable of the XDG family would take a tool past a private home.
func leadsHome(v, home string) bool {
	name, value, _ := strings.Cut(v, "=")
	return strings.HasPrefix(name, "XDG_") && home != "" && slices.ContainsFunc(filepath.SplitList(value), func(dir string) bool {
		return dir == home || strings.HasPrefix(dir, strings.TrimSuffix(home, "/")+"/")
	})
}

// makeTmp makes a job's temporary directory: below base where there is one that can be written,
// else in the data directory. There a name always leads to it, so that it is found when the
// supervisor is gone.
func makeTmp(data layout.Data, id, base string) (string, error) {
	name := data.JobTmp(id)
	if err := failpoint.Do(failpoint.TmpMake, func() error { return os.MkdirAll(data.Tmp(), 0o700) }); err != nil {
		return "", fmt.Errorf("unable to make the job's temporary directory: %w", err)
	}
	if filepath.IsAbs(base) && unix.Access(base, unix.W_OK|unix.X_OK) == nil {
		path := filepath.Join(base, "cyclops-"+id)
		if os.Symlink(path, name) == nil {
			if os.Mkdir(path, 0o700) == nil {
				return path, nil
			}
			if err := os.Remove(name); err != nil {
				return "", fmt.Errorf("unable to make the job's temporary directory: %w", err)
			}
		}
	}
	if err := os.Mkdir(name, 0o700); err != nil {
		return "", fmt.Errorf("unable to make the job's temporary directory: %w", err)
	}
	return name, nil
}

// removeTmp removes what makeTmp made.
func removeTmp(data layout.Data, id string) error {
	name := data.JobTmp(id)
	path, err := os.Readlink(name)
	if err == nil && filepath.Base(path) == "cyclops-"+id {
		err = RemoveTree(path)
	} else if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else {
		err = nil
	}
	if err = errors.Join(err, failpoint.Do(failpoint.TmpRemove, func() error { return RemoveTree(name) })); err != nil {
		return fmt.Errorf("unable to remove the job's temporary directory: %w", err)
	}
	return nil
}

// RemoveTree deletes what a job left, directories that it made read-only among them.
func RemoveTree(path string) error {
	err := os.RemoveAll(path)
	if !errors.Is(err, os.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(path, func(p string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(p, 0o700)
		}
		return nil
	})
	return os.RemoveAll(path)
}

// cleanUp gives back what the job had to itself. It failed at nothing that anybody asked for, so
// the record says it aside.
func (s *supervisor) cleanUp() {
	s.closePlace()
	if err := removeTmp(s.launch.Data, s.job.ID); err != nil {
		s.extra("tmpdir", err.Error(), true)
	}
}

// Leftovers lists the jobs that have, or had, a temporary directory, control groups or a supervisor's socket.
func Leftovers(data layout.Data) []string {
	var ids []string
	for _, dir := range []string{data.Tmp(), data.Run()} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			id := strings.TrimSuffix(strings.TrimSuffix(e.Name(), filepath.Ext(data.Groups(""))), ".sock")
			if manifest.ValidID(id) && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// CleanUp removes what jobs left behind whose supervisors are gone. Those of ids that are not stay as they are.
func CleanUp(data layout.Data, ids ...string) error {
	var errs []error
	for _, id := range ids {
		if _, alive := Begun(data, id); alive {
			continue // the database lost its row: what it has is no leftover
		}
		killCgroup(data.Groups(id))
		errs = append(errs, removeTmp(data, id))
		if err := os.Remove(data.Control(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("unable to remove a supervisor's socket: %w", err))
		}
	}
	return errors.Join(append(errs, samepath.Sweep(data.Mounts()))...)
}
