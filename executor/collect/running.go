//go:build linux

package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// MaxRunning is how many files of a running job are listed at once.
const MaxRunning = 10_000

// Running lists the files in a workspace that match one of the globs and were written since start, as they are at this
// moment: a job still writes them. It changes nothing there, and follows no symlink.
func Running(ctx context.Context, data layout.Data, workspace string, globs []string, start time.Time, inputs Inputs) ([]api.FileInfo, error) {
	c := &collector{watching: true, Request: Request{Start: start, Inputs: inputs}}
	var refused []manifest.Refusal
	c.rules, refused = newRules(manifest.Outputs{Fetch: globs})
	if len(refused) > 0 || len(c.rules.globs) == 0 {
		return nil, api.Errorf(api.Invalid, "", "the globs %q cannot be understood", globs)
	}
	root, err := unix.Open(data.Workspace(workspace), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil // it is being made
	}
	if err != nil {
		return nil, fmt.Errorf("unable to list what the job wrote: %w", err)
	}
	defer unix.Close(root)
	c.root = root
	if err := c.walk(ctx); err != nil {
		return nil, fmt.Errorf("unable to list what the job wrote: %w", err)
	}
	return c.listed(), nil
}

// listed describes what was found, by name.
func (c *collector) listed() []api.FileInfo {
	slices.SortFunc(c.found, func(a, b output) int { return cmp.Compare(a.name, b.name) })
	list := []api.FileInfo{}
	for i := range c.found {
		o := &c.found[i]
		if !o.fresh || o.stat.Mode&unix.S_IFMT != unix.S_IFREG || c.Inputs != nil && c.Inputs.Untouched(o.name, &o.stat) {
			continue
		}
		if list = append(list, api.FileInfo{
			Name: o.name, Size: o.stat.Size, Mode: o.stat.Mode & 0o777, Modified: time.Unix(o.stat.Mtim.Unix()).UTC(),
		}); len(list) == MaxRunning {
			break
		}
	}
	return list
}
