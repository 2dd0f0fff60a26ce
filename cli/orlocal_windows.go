package cli

import (
	"os"
	"os/exec"
)

// execHere runs the tool: nothing can become another program here.
func execHere(file string, args, env []string) error { return runChild(file, args, env, os.Stdin) }

func leadsGroup() bool { return true }

func exitBySignal(*exec.ExitError) int { return exitFailure }
