package cli

import (
	"runtime"
	"unicode/utf8"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote/project"
)

// fillPlace says where the job sees its tree and which home it has: by flag, by its entry in
// cyclops.toml, by the file as a whole.
func (f *jobFlags) fillPlace(job *manifest.Job, root *project.Root, args []string, dashed bool) error {
	named, _ := namedJob(root, args, dashed)
	same := project.SamePath(firstOf(f.samePath, string(named.SamePath), string(root.File.SamePath)))
	if same.Check() != nil {
		return api.Errorf(api.Usage, "--same-path=auto, require or off", "--same-path %q is not known", f.samePath)
	}
	home := project.Home(firstOf(f.home, string(named.Home), string(root.File.Home)))
	if home.Check() != nil {
		return api.Errorf(api.Usage, "--home private, or user", "--home %q is not known", f.home)
	}
	job.Home = home.Manifest()
	job.SetUID = f.setuid || root.File.SetUID
	if named.SetUID != nil && !f.setuid {
		job.SetUID = *named.SetUID
	}
	return f.fillSamePath(job, root.Dir, same)
}

// fillSamePath sends the tree's path. Where a host could not have such a path, or there is no
// tree, nothing is asked for.
func (f *jobFlags) fillSamePath(job *manifest.Job, dir string, same project.SamePath) error {
	if same == project.SamePathOff {
		return nil
	}
	require, why := same == project.SamePathRequire, ""
	switch {
	case f.bare:
		why = "nothing is shipped"
	case runtime.GOOS == "windows":
		why = "a path of Windows is none on the host"
	case !utf8.ValidString(dir):
		why = "the tree's path is no text"
	}
	switch {
	case why == "":
		job.SamePath = &manifest.SamePath{Root: dir, Require: require}
	case require:
		return api.Errorf(api.Usage, "--same-path=off", "the job cannot see its tree at the same path: %s", why)
	}
	return nil
}
