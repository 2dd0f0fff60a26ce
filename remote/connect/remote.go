package connect

import (
	"context"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
)

func openRemote(ctx context.Context, host hosts.Host, opt Options) (way, error) {
	return nil, api.Errorf(api.Unreachable, "", "unable to reach %s", host.Name)
}

// LinkVerb is the hidden verb of the CLI that runs ServeLink.
const LinkVerb = "link"

// ServeLink is the link's process: it reads what to serve from standard input, says on standard
// output that it listens, and returns the exit code when it has been idle for its time.
func ServeLink(ctx context.Context) int { return 0 }
