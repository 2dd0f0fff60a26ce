package connect

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
)

// reuse speaks through a ControlMaster of the user's that is alive.
func (d *dialer) reuse(res *hosts.Resolved) *wired {
	if res.ControlPath == "" {
		return nil
	}
	w, err := control(res.ControlPath)
	if err != nil {
		return nil // no master, or one that cannot be shared: connect ourselves
	}
	return w
}

func control(path string) (*wired, error) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	c, chans, reqs, err := ssh.NewControlClientConn(conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &wired{Client: ssh.NewClient(c, chans, reqs)}, nil
}

// ownMaster is an OpenSSH that this process started for what its own client lacks.
type ownMaster struct {
	args []string
	path string
}

// Close tells the master to leave.
func (m ownMaster) Close() error {
	defer os.Remove(m.path)
	return exec.Command("ssh", append([]string{"-O", "exit"}, m.args...)...).Run()
}

// master has `ssh -M -N` connect, which goes to the background once it is let in.
func (d *dialer) master(ctx context.Context, dest hosts.Destination) (*wired, error) {
	m := ownMaster{path: filepath.Join(d.runtime, "m-"+strings.ToLower(rand.Text()[:12]))}
	m.args = append(m.args, "-S", m.path)
	if d.resolver.File != "" {
		m.args = append(m.args, "-F", d.resolver.File)
	}
	if dest.Port != 0 {
		m.args = append(m.args, "-p", strconv.Itoa(dest.Port))
	}
	m.args = append(m.args, "--", dest.String())
	said, err := os.CreateTemp(d.runtime, "ssh-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(said.Name())
	defer said.Close()
	flags := []string{"-M", "-N", "-f", "-o", "BatchMode=yes", "-o", "ControlPersist=no", "-o", "ExitOnForwardFailure=no"}
	cmd := exec.CommandContext(ctx, "ssh", append(flags, m.args...)...)
	cmd.Stderr = said // a file: the one in the background would hold a pipe open
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK="+d.resolver.Agent)
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(said.Name())
		return nil, api.Errorf(api.Auth, "ssh "+dest.String()+" shows the same", "%s does not let you in: %s", d.name, lastLine(text, err))
	}
	w, err := control(m.path)
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("unable to speak through ssh -M: %w", err)
	}
	w.base = append(w.base, m)
	return w, nil
}

func lastLine(text []byte, err error) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return last
	}
	return err.Error()
}
