package cli

import (
	"time"

	"github.com/spf13/pflag"
)

// jobFlags are the flags that describe a job, for run, submit and shims.
type jobFlags struct {
	host       string
	dir        string
	name       string
	shell      string
	env        []string
	tools      []string
	outputs    []string
	needs      []string
	after      []string
	labels     []string
	timeout    time.Duration
	grace      time.Duration
	priority   string
	workspace  string
	isolated   bool
	concurrent bool
	bare       bool
	git        bool
	samePath   string
	home       string
	setuid     bool

	shim      bool // a tool's call comes from a shim
	submitted bool // the host has the job, or may have it
}

func (f *jobFlags) register(flags *pflag.FlagSet) {
	flags.StringVarP(&f.host, "host", "H", "", "host to run on (also $CYCLOPS_HOST)")
	flags.StringVarP(&f.dir, "directory", "C", "", "behave as if typed in `DIR`")
	flags.StringVarP(&f.shell, "command", "c", "", "give `STRING` to /bin/sh instead of running CMD")
	flags.StringVar(&f.name, "name", "", "name the job, to find it again")
	flags.StringArrayVar(&f.env, "env", nil, "set a variable, or pass one on: `NAME[=VALUE]`; repeatable")
	flags.StringArrayVar(&f.tools, "tool", nil, "set up a tool environment of the host's config; repeatable")
	flags.StringArrayVar(&f.outputs, "output", nil, "fetch what matches `GLOB` when the job ends; repeatable")
	flags.StringArrayVar(&f.needs, "need", nil, "hold a resource while running: `RESOURCE=N`; repeatable")
	flags.StringArrayVar(&f.after, "after", nil, "start only when `JOB` has succeeded; repeatable")
	flags.StringArrayVar(&f.labels, "label", nil, "attach `KEY=VALUE` to the job; repeatable")
	flags.DurationVar(&f.timeout, "timeout", 0, "stop the job after this time, for example 2h")
	flags.DurationVar(&f.grace, "grace", 0, "time between TERM and KILL when the job is stopped (default 10s)")
	flags.StringVar(&f.priority, "priority", "", "interactive, normal or low")
	flags.StringVar(&f.workspace, "workspace", "", "run in the workspace `NAME` instead of the project's own")
	flags.BoolVar(&f.isolated, "isolated", false, "run in a fresh workspace, beside other jobs")
	flags.BoolVar(&f.concurrent, "concurrent", false, "share the workspace with jobs that run now")
	flags.BoolVar(&f.bare, "bare", false, "ship nothing")
	flags.StringVar(&f.samePath, "same-path", "", "show the tree at the path that it has here: auto, require or off (default auto)")
	flags.StringVar(&f.home, "home", "", "private gives the job an empty HOME of its own, user the host user's (default user)")
	flags.BoolVar(&f.setuid, "setuid", false, "the job runs set-uid programs, such as sudo")
	flags.BoolVar(&f.git, "with-git", false, "ship .git too")
}
