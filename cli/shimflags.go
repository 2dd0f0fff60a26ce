package cli

import "github.com/spf13/pflag"

// shimFlags are the flags of run that are about shims and about outputs while a job runs.
type shimFlags struct {
	orLocal      bool
	whileRunning []string
}

func (f *runFlags) registerShim(flags *pflag.FlagSet) {
	flags.BoolVar(&f.orLocal, "or-local", false, "run the local tool when the host is not there, lets nobody in, or lacks it")
	flags.StringArrayVar(&f.whileRunning, "fetch-while-running", nil, "bring what matches `PATTERN` here while the job runs; repeatable")
	flags.BoolVar(&f.shim, "shim", false, "the call comes from a shim")
	_ = flags.MarkHidden("shim")
}
