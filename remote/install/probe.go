// Package install puts an executor on a host with nothing there but sshd and a POSIX shell,
// takes it away again, and finds out what is wrong with a host.
package install

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/connect"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
)

// Host is what a host says of itself.
type Host struct {
	OS       string // as Go names it
	Arch     string
	Home     string
	Data     string // the executor's directory, absolute
	Current  string // the executor that is installed: a file's name in Data/bin
	Digest   string // its SHA-256 in hex; empty: none is installed, or the host cannot tell
	FreeKiB  int64  // for this user where Data is; -1: not known
	FileType string // of the file system where Data is
	Running  int    // supervisors
	Systemd  bool   // the user has a systemd manager
	Linger   bool   // which stays when the user logs out
	KillUser bool   // logind ends what the user leaves behind
	Clock    time.Time
}

// probeScript prints what it finds as lines with a mark of their own, since start-up files of a
// shell may print too. data is set before it.
const probeScript = `say() { printf 'cyclops.%s=%s\n' "$1" "$2"; }
case $data in "~/"*) data=$HOME/${data#"~/"};; esac
near=$data; while [ ! -e "$near" ] && [ "$near" != / ]; do near=$(dirname "$near"); done
say os "$(uname -s)"; say arch "$(uname -m)"; say home "$HOME"; say data "$data"; say clock "$(date +%s)"
say free "$(df -Pk "$near" 2>/dev/null | awk 'NR==2 {print $4}')"
say fs "$(stat -f -c %T "$near" 2>/dev/null)"
if [ -e "$data/bin/current" ]; then
  say current "$(readlink "$data/bin/current")"
  say digest "$(sha256 "$data/bin/current")"
fi
n=0; for s in "$data"/run/*.sock; do case $s in */cyclopsd.sock|*/\*.sock) ;; *) n=$((n+1));; esac; done; say running $n
[ -n "$XDG_RUNTIME_DIR" ] || XDG_RUNTIME_DIR=/run/user/$(id -u); export XDG_RUNTIME_DIR
systemctl --user show-environment >/dev/null 2>&1 && say systemd yes
[ -e "/var/lib/systemd/linger/$(id -un)" ] && say linger yes
cat /etc/systemd/logind.conf /etc/systemd/logind.conf.d/*.conf 2>/dev/null | grep -q '^KillUserProcesses=yes' && say killuser yes
:`

// digestFunction prints the SHA-256 of a file with whatever the host has for it, or nothing.
const digestFunction = `sha256() {
  { sha256sum "$1" || shasum -a 256 "$1" || openssl dgst -sha256 -r "$1"; } 2>/dev/null | head -n 1 | cut -c 1-64
}
`

// dataLine sets the shell's variable data.
func dataLine(h hosts.Host) string {
	dir := connect.DataDir(h)
	if h.IsLocal() && h.Data == "" {
		if d, err := api.DefaultData(); err == nil {
			dir = d
		}
	}
	return "data=" + connect.Quote(dir) + "\n"
}

// Probe asks a host about itself in one command.
func Probe(ctx context.Context, c *connect.Conn) (*Host, error) {
	r, err := c.Exec(ctx, connect.Shell(dataLine(c.Host())+digestFunction+probeScript), nil)
	if err != nil {
		return nil, err
	}
	said := map[string]string{}
	for line := range strings.Lines(string(r.Stdout)) {
		if key, value, ok := strings.Cut(strings.TrimPrefix(line, "cyclops."), "="); ok && strings.HasPrefix(line, "cyclops.") {
			said[key] = strings.TrimSpace(value)
		}
	}
	if said["os"] == "" || !strings.HasPrefix(said["data"], "/") {
		return nil, api.Errorf(api.Invalid, "try: ssh "+c.Host().Address+" uname -sm", "unable to find out what %s is: its shell says %q", c.Host().Name, firstLine(r))
	}
	return newHost(said), nil
}

func newHost(said map[string]string) *Host {
	h := &Host{
		OS: goos(said["os"]), Arch: goarch(said["arch"]), Home: said["home"], Data: said["data"],
		Current: said["current"], FreeKiB: -1, FileType: said["fs"],
		Systemd: said["systemd"] == "yes", Linger: said["linger"] == "yes", KillUser: said["killuser"] == "yes",
	}
	if isDigest(said["digest"]) {
		h.Digest = said["digest"]
	}
	if n, err := strconv.ParseInt(said["free"], 10, 64); err == nil {
		h.FreeKiB = n
	}
	if n, err := strconv.Atoi(said["running"]); err == nil {
		h.Running = n
	}
	if n, err := strconv.ParseInt(said["clock"], 10, 64); err == nil {
		h.Clock = time.Unix(n, 0)
	}
	return h
}

func firstLine(r connect.ExecResult) string {
	text := strings.TrimSpace(string(r.Stderr) + string(r.Stdout))
	line, _, _ := strings.Cut(text, "\n")
	return line[:min(len(line), 200)]
}

func isDigest(text string) bool {
	if len(text) != 64 {
		return false
	}
	return strings.Trim(text, "0123456789abcdef") == ""
}

func goos(uname string) string { return strings.ToLower(uname) }

func goarch(machine string) string {
	switch machine {
	case "x86_64", "amd64":
		return "amd64"
	case "aarch64", "arm64":
		return "arm64"
	case "armv7l", "armv8l":
		return "arm"
	}
	return machine
}
