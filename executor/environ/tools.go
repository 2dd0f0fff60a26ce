//go:build linux

package environ

import (
	"context"
	"os"
	"os/exec"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// toolScript sets a tool up and prints the environment that results. What the set-up prints must
// not pass for the environment, and a set-up that reads its input must not wait.
const toolScript = `eval "$1" </dev/null 1>&2 || exit; shift; exec "$@"`

// SetUp returns vars as the set-up lines of tools change them, one after another. The lines run
// in bash where there is one, in dir, and only what they export counts.
func SetUp(ctx context.Context, self, vars []string, tools []Tool, dir string) ([]string, error) {
	for _, t := range tools {
		var err error
		if vars, err = setUp(ctx, self, vars, t, dir); err != nil {
			return nil, err
		}
	}
	return vars, nil
}

func setUp(ctx context.Context, self, vars []string, t Tool, dir string) ([]string, error) {
	if t.Setup == "" {
		return vars, nil
	}
	shell := setupShell()
	args := append([]string{shell, "-c", toolScript, "cyclops", t.Setup}, self...)
	got, err := ask(ctx, &exec.Cmd{Path: shell, Args: append(args, "env")}, vars, dir)
	if err != nil {
		return nil, api.Errorf(api.Invalid, "look at [tools] in the host's config.toml",
			"unable to set up tool %s: %w", t.Name, err)
	}
	return Clean(got), nil
}

func setupShell() string {
	for _, path := range []string{"/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"} {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	if path, err := exec.LookPath("bash"); err == nil {
		return path
	}
	return "/bin/sh"
}
