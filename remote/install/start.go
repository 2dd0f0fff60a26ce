package install

import (
	"context"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/connect"
)

// What keeps an executor running.
const (
	managerSystemd = "systemd"
	managerDial    = "dial"
)

// unitScript has the user's systemd manager keep the daemon. KillMode=process leaves supervisors
// alone when the daemon is stopped or upgraded. Delegated, its control group can be divided among
// jobs, each with limits of its own, if the daemon is in a part of it; systemd before 254 does not
// know how to put it there, says so in its log, and goes on.
const unitScript = `[ -n "$XDG_RUNTIME_DIR" ] || XDG_RUNTIME_DIR=/run/user/$(id -u); export XDG_RUNTIME_DIR
[ -e "/var/lib/systemd/linger/$(id -un)" ] || loginctl enable-linger 2>/dev/null
dir=$HOME/.config/systemd/user; mkdir -p "$dir" || exit 1
cat > "$dir/$unit" <<EOF
[Unit]
Description=Cyclops executor

[Service]
Type=notify
NotifyAccess=main
ExecStart="$data/bin/current" serve --data "$data"
KillMode=process
Delegate=yes
DelegateSubgroup=executor
Restart=on-failure

[Install]
WantedBy=default.target
EOF
systemctl --user daemon-reload && systemctl --user enable "$unit" && systemctl --user restart "$unit" || exit 1
[ -e "/var/lib/systemd/linger/$(id -un)" ] && echo cyclops.linger=yes
:`

const unitName = "cyclopsd.service"

// start has the executor started and asks it who it is.
func start(ctx context.Context, c *connect.Conn, h *Host, r *Report, opt Options) error {
	r.Manager = managerDial
	if h.Systemd && (r.Changed || !h.Linger) {
		said, err := c.Exec(ctx, script(c, unitScript, "unit", unitName), nil)
		if err != nil {
			return err
		}
		h.Linger = h.Linger || field(said, "linger") == "yes"
		if said.Code == 0 {
			r.Manager = managerSystemd
			opt.say("started it through the user's systemd manager")
		} else {
			opt.say("systemd does not take it (%s); clients start it", firstLine(said))
		}
	}
	r.Warning = mortal(h)
	hello, err := c.Hello(ctx)
	if err != nil {
		return err
	}
	if hello, err = settle(ctx, c, hello); err != nil {
		return err
	}
	r.Hello = hello
	opt.say("executor %s answers, store %s", hello.Executor, hello.Store)
	return nil
}

// settle makes sure that the API itself answers, not only dial.
func settle(ctx context.Context, c *connect.Conn, hello api.Hello) (api.Hello, error) {
	client := newClient(c)
	defer client.Close()
	answer, err := client.Hello(ctx)
	if err != nil {
		return hello, err
	}
	if answer.Store != hello.Store {
		return hello, api.Errorf(api.Internal, "", "two executors answer on %s: %s and %s", c.Host().Name, hello.Store, answer.Store)
	}
	hello.Status = answer.Status
	return hello, nil
}

// mortal says what would end the executor when its user logs out.
func mortal(h *Host) string {
	switch {
	case h.KillUser && !h.Linger:
		return "logind ends what a user leaves behind (KillUserProcesses=yes): ask for `loginctl enable-linger`"
	case h.Systemd && !h.Linger:
		return "the user's systemd manager ends at the last logout: ask for `loginctl enable-linger`"
	}
	return ""
}
