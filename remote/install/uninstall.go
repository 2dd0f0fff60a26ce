package install

import (
	"context"
	"path"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote"
	"github.com/cyclops-fpga/cyclops/remote/connect"
)

func newClient(c *connect.Conn) *remote.Client { return remote.NewClient(c) }

// removeScript ends the daemon and takes away what Install put there.
const removeScript = `[ -n "$XDG_RUNTIME_DIR" ] || XDG_RUNTIME_DIR=/run/user/$(id -u); export XDG_RUNTIME_DIR
unit=$HOME/.config/systemd/user/cyclopsd.service
if [ -e "$unit" ]; then systemctl --user disable --now cyclopsd.service; rm -f "$unit"; systemctl --user daemon-reload; fi
if [ -x "$data/bin/current" ]; then "$data/bin/current" stop --data "$data" || :; fi
rm -rf "$data/bin" "$data/run"
if [ "$purge" = yes ]; then rm -rf "$data"; fi
[ ! -e "$data/bin" ]`

// Uninstall takes the executor off a host, and with purge every job, log and artifact that it
// keeps. It refuses while jobs run.
func Uninstall(ctx context.Context, c *connect.Conn, purge bool, opt Options) error {
	if c.Local() {
		return api.Errorf(api.Usage, "", "nothing is installed on the host %s", c.Host().Name)
	}
	h, err := Probe(ctx, c)
	if err != nil {
		return err
	}
	if h.Running > 0 {
		return api.Errorf(api.Conflict, "cancel them first, or wait", "%d jobs run on %s", h.Running, c.Host().Name)
	}
	if purge && !purgeable(h) {
		return api.Errorf(api.Refused, "", "%s is not removed: it is not a directory of the executor's own", h.Data)
	}
	answer := "no"
	if purge {
		answer = "yes"
	}
	if err := run(ctx, c, removeScript, "purge", answer); err != nil {
		return err
	}
	switch {
	case purge:
		opt.say("removed the executor and everything in %s", h.Data)
	case h.Current == "":
		opt.say("there was no executor in %s", h.Data)
	default:
		opt.say("removed the executor; jobs and their files stay in %s", h.Data)
	}
	return nil
}

// purgeable guards against a data directory that is, or lies above, the home.
func purgeable(h *Host) bool {
	data, home := path.Clean(h.Data), path.Clean(h.Home)
	return data != "/" && data != home && !strings.HasPrefix(home+"/", data+"/")
}
