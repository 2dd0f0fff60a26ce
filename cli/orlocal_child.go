package cli

import (
	"errors"
	"os"
	"os/exec"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// runChild runs the tool to its end and exits as it does.
func runChild(file string, args, env []string, in *os.File) error {
	cmd := exec.Command(file)
	cmd.Args, cmd.Env = args, env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, os.Stdout, os.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return &exitError{code: exit.ExitCode()}
	case errors.As(err, &exit):
		return &exitError{code: exitBySignal(exit)}
	}
	return api.Errorf(api.Internal, "", "unable to run %s: %w", file, err)
}
