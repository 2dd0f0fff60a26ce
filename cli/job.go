package cli

import (
	"fmt"
	"os"
	"os/user"
	"path"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote/journal"
	"github.com/cyclops-fpga/cyclops/remote/project"
	"github.com/cyclops-fpga/cyclops/remote/scan"
)

// loadJob turns flags, arguments and cyclops.toml into a job that lacks only its inputs. kept is
// the name of the workspace that the tree has on the host, which an isolated job does not run in.
// dashed tells whether "--" stood before the arguments: then they are a command, never a job's name.
func (app *App) loadJob(f *jobFlags, args []string, dashed bool) (root *project.Root, job *manifest.Job, kept string, err error) {
	if root, err = project.Find(f.dir); err != nil {
		return nil, nil, "", err
	}
	job = &manifest.Job{
		SchemaVersion: manifest.JobVersion,
		MediaType:     manifest.JobMediaType,
		ID:            manifest.NewID(),
		Project:       root.Name(),
		Owner:         owner(),
		Created:       time.Now().UTC().Truncate(time.Microsecond),
		Dir:           root.Rel,
		Tools:         root.File.Tools,
		Outputs:       outputsOf(root.File.Outputs),
	}
	addEnv(job, root.File.Env)
	if err := fillCommand(job, root, f, args, dashed); err != nil {
		return nil, nil, "", err
	}
	if err := f.fill(job); err != nil {
		return nil, nil, "", err
	}
	if kept, err = app.fillWorkspace(job, root, f); err != nil {
		return nil, nil, "", err
	}
	if err := f.fillPlace(job, root, args, dashed); err != nil {
		return nil, nil, "", err
	}
	if f.bare {
		job.Dir = ""
		return root, job, kept, nil
	}
	return root, job, kept, root.CheckShippable()
}

// fillCommand decides between -c, a job of cyclops.toml and a command.
func fillCommand(job *manifest.Job, root *project.Root, f *jobFlags, args []string, dashed bool) error {
	named, isNamed := namedJob(root, args, dashed)
	switch {
	case f.shell != "" && len(args) > 0:
		return api.Errorf(api.Usage, "quote the whole command after -c, or leave -c out", "-c takes no further arguments, got %q", args[0])
	case f.shell != "":
		job.Steps = []manifest.Step{{Run: f.shell}}
	case len(args) == 0:
		return api.Errorf(api.Usage, commandHint(root), "nothing to run")
	case isNamed:
		fillNamed(job, args[0], named)
	default:
		job.Steps = []manifest.Step{manifest.StepOf(args)}
	}
	return nil
}

// namedJob returns the job of cyclops.toml that the arguments name, if they do.
func namedJob(root *project.Root, args []string, dashed bool) (project.Job, bool) {
	if len(args) != 1 || dashed {
		return project.Job{}, false
	}
	named, ok := root.File.Jobs[args[0]]
	return named, ok
}

func commandHint(root *project.Root) string {
	if len(root.File.Jobs) == 0 {
		return "cyclops run -- CMD…, for example: cyclops run -- make"
	}
	names := make([]string, 0, len(root.File.Jobs))
	for name := range root.File.Jobs {
		names = append(names, name)
	}
	sort.Strings(names)
	return "cyclops run -- CMD…, or a job of cyclops.toml: " + strings.Join(names, ", ")
}

func fillNamed(job *manifest.Job, name string, named project.Job) {
	job.Name = name
	job.Dir = "" // a named job means the same wherever in the tree it is typed
	if named.Run != "" {
		job.Steps = []manifest.Step{{Run: named.Run}}
	}
	for _, s := range named.Steps {
		job.Steps = append(job.Steps, manifest.Step{Name: s.Name, Run: s.Run})
	}
	job.Needs = named.Needs
	job.TimeoutSecs = time.Duration(named.Timeout).Seconds()
	job.GraceSecs = time.Duration(named.Grace).Seconds()
	job.Priority = named.Priority
	if named.Tools != nil {
		job.Tools = named.Tools
	}
	if named.Outputs != nil {
		job.Outputs = outputsOf(*named.Outputs)
	}
	addEnv(job, named.Env)
}

func outputsOf(o project.Outputs) manifest.Outputs {
	return manifest.Outputs{Fetch: o.Fetch, Keep: o.Keep, Limit: int64(o.Limit)}
}

// addEnv adds variables of cyclops.toml, which are public as the file is.
func addEnv(job *manifest.Job, env map[string]string) {
	names := make([]string, 0, len(env))
	for name := range env {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		job.SetEnv(manifest.Variable{Name: name, Value: env[name], Public: true})
	}
}

// fill lets the flags have the last word.
func (f *jobFlags) fill(job *manifest.Job) error {
	if f.name != "" {
		job.Name = f.name
	}
	if f.timeout < 0 || f.grace < 0 {
		return api.Errorf(api.Usage, "", "a time cannot be negative")
	}
	if f.timeout > 0 {
		job.TimeoutSecs = f.timeout.Seconds()
	}
	if f.grace > 0 {
		job.GraceSecs = f.grace.Seconds()
	}
	if f.priority != "" {
		job.Priority = manifest.Priority(f.priority)
	}
	if err := project.CheckPriority(job.Priority); err != nil {
		return api.Errorf(api.Usage, "", "%w", err)
	}
	if f.tools != nil {
		job.Tools = f.tools
	}
	if err := f.fillOutputs(job); err != nil {
		return err
	}
	return f.fillPairs(job)
}

func (f *jobFlags) fillOutputs(job *manifest.Job) error {
	if f.shim && f.outputs == nil { // the project's are those of its jobs; whoever calls a tool waits for all that it writes
		job.Outputs.Fetch, job.Outputs.Keep = nil, nil
	}
	if f.outputs == nil {
		return nil
	}
	job.Outputs.Fetch = nil
	for _, pattern := range f.outputs {
		if err := project.CheckOutput(pattern); err != nil {
			return api.Errorf(api.Usage, "outputs are globs below the project's root", "%w", err)
		}
		job.Outputs.Fetch = append(job.Outputs.Fetch, path.Clean(pattern))
	}
	return nil
}

func (f *jobFlags) fillPairs(job *manifest.Job) error {
	for _, text := range f.env {
		name, value, given := strings.Cut(text, "=")
		if !manifest.ValidVariableName(name) {
			return api.Errorf(api.Usage, "--env NAME passes yours on, --env NAME=VALUE sets one", "%q is no name of an environment variable", name)
		}
		if !given {
			if value, given = os.LookupEnv(name); !given {
				continue
			}
		}
		job.SetEnv(manifest.Variable{Name: name, Value: value})
	}
	for _, text := range f.needs {
		resource, amount, given := strings.Cut(text, "=")
		n := 1
		if given {
			n, _ = strconv.Atoi(amount)
		}
		if resource == "" || n < 1 {
			return api.Errorf(api.Usage, "--need licence.vivado=1", "%q is no resource and amount", text)
		}
		if job.Needs == nil {
			job.Needs = map[string]int{}
		}
		job.Needs[resource] = n
	}
	for _, text := range f.labels {
		key, value, given := strings.Cut(text, "=")
		if key == "" || !given {
			return api.Errorf(api.Usage, "--label board=u250", "%q is no label", text)
		}
		if job.Labels == nil {
			job.Labels = map[string]string{}
		}
		job.Labels[key] = value
	}
	return nil
}

func (app *App) fillWorkspace(job *manifest.Job, root *project.Root, f *jobFlags) (kept string, err error) {
	if f.isolated && f.concurrent {
		return "", api.Errorf(api.Usage, "", "--isolated and --concurrent exclude each other")
	}
	if f.isolated && f.workspace != "" {
		return "", api.Errorf(api.Usage, "", "--isolated and --workspace exclude each other: an isolated job has a workspace of its own")
	}
	kept = firstOf(f.workspace, root.File.Workspace)
	if kept == "" {
		client, err := journal.ClientID(app.dirs)
		if err != nil {
			return "", err
		}
		kept = scan.WorkspaceName(root.Name(), client, root.Dir)
	}
	if !manifest.ValidWorkspaceName(kept) {
		return "", api.Errorf(api.Usage, "", "workspace %q may hold only letters, digits, '.', '_' and '-'", kept)
	}
	job.Workspace = manifest.Workspace{Name: kept, Mode: manifest.Kept}
	switch {
	case f.isolated:
		job.Workspace = manifest.Workspace{Name: job.ID, Mode: manifest.Isolated}
	case f.concurrent:
		job.Workspace.Mode = manifest.Concurrent
	}
	return kept, nil
}

func owner() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	machine, err := os.Hostname()
	if err != nil {
		machine = "unknown"
	}
	return fmt.Sprintf("%s@%s", name, machine)
}

func firstOf(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}
