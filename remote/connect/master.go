package connect

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
)

// masterLimit is how long a master may take to show that it and its line are alive.
const masterLimit = 3 * time.Second

// reuse speaks through a ControlMaster of the user's that is alive.
func (d *dialer) reuse(ctx context.Context, res *hosts.Resolved) *wired {
	if res.ControlPath == "" {
		return nil
	}
	w, err := control(ctx, res.ControlPath)
	if err != nil { // no master, one that hangs or one that cannot be shared: connect ourselves
		d.log.Info("the ControlMaster is of no use", "path", res.ControlPath, "because", err)
		return nil
	}
	return w
}

// control speaks with the master at path, once the host has answered through it: a master whose
// line is dead takes everything and says nothing.
func control(ctx context.Context, path string) (*wired, error) {
	ctx, cancel := context.WithTimeout(ctx, masterLimit)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	line := newWire(conn)
	c, chans, reqs, err := ssh.NewControlClientConn(line)
	if err != nil {
		conn.Close()
		return nil, errors.Join(ctx.Err(), err)
	}
	w := &wired{Client: ssh.NewClient(c, chans, reqs), wire: line, shared: true}
	if err = echoes(w.Client); err == nil && !stop() {
		err = ctx.Err()
	}
	if err != nil {
		w.Close()
		return nil, errors.Join(ctx.Err(), err)
	}
	return w, nil
}

// echoes has the host answer. It opens a session, since a master passes no global request on.
func echoes(c ssh.Conn) error {
	ch, reqs, err := c.OpenChannel("session", nil)
	var full *ssh.OpenChannelError
	if errors.As(err, &full) {
		return nil // that is an answer too
	}
	if err != nil {
		return err
	}
	go ssh.DiscardRequests(reqs)
	_ = ch.Close()
	return nil
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

// master has `ssh -M -N` connect, which goes to the background once it is let in. Only what the
// person was not asked for before is asked for now: with all false, nothing.
func (d *dialer) master(ctx context.Context, dest hosts.Destination, all bool) (*wired, error) {
	if err := ownDirectory(d.runtime); err != nil {
		return nil, api.Errorf(api.Refused, "", "unable to keep the socket of ssh -M: %w", err)
	}
	m := d.ownMaster(dest)
	flags := []string{"-M", "-N", "-f", "-o", "ControlPersist=no", "-o", "ClearAllForwardings=yes", "-o", "ForwardAgent=no"}
	env := append(os.Environ(), "SSH_AUTH_SOCK="+d.resolver.Agent)
	var asks *relay
	if all && d.prompt != nil {
		r, err := newRelay(ctx, d.runtime, d.name, d.prompt)
		if err != nil {
			return nil, fmt.Errorf("unable to ask for ssh: %w", err)
		}
		defer r.Close()
		asks, env = r, append(env, r.env()...)
	} else {
		flags = append(flags, "-o", "BatchMode=yes")
	}
	if !all {
		flags = append(flags, "-o", "PreferredAuthentications=gssapi-with-mic")
	}
	if err := d.letIn(ctx, append(flags, m.args...), env, asks, dest); err != nil {
		return nil, err
	}
	w, err := control(ctx, m.path)
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("unable to speak through ssh -M: %w", err)
	}
	w.base = append(w.base, m)
	return w, nil
}

func (d *dialer) ownMaster(dest hosts.Destination) ownMaster {
	m := ownMaster{path: filepath.Join(d.runtime, "m-"+strings.ToLower(rand.Text()[:12]))}
	m.args = append(m.args, "-S", m.path)
	if d.resolver.File != "" {
		m.args = append(m.args, "-F", d.resolver.File)
	}
	if dest.Port != 0 {
		m.args = append(m.args, "-p", strconv.Itoa(dest.Port))
	}
	m.args = append(m.args, "--", dest.String())
	return m
}

// letIn runs ssh until it has gone to the background.
func (d *dialer) letIn(ctx context.Context, args, env []string, asks *relay, dest hosts.Destination) error {
	said, err := os.CreateTemp(d.runtime, "ssh-")
	if err != nil {
		return err
	}
	defer os.Remove(said.Name())
	defer said.Close()
	cmd := exec.CommandContext(ctx, "ssh", args...)
	cmd.Stderr = said // a file: the one in the background would hold a pipe open
	cmd.Env = env
	err = cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case asks != nil && asks.declined() != nil:
		return asks.declined()
	}
	text, _ := os.ReadFile(said.Name())
	return api.Errorf(api.Auth, "ssh "+dest.String()+" shows the same", "%s does not let you in: %s", d.name, lastLine(text, err))
}

func lastLine(text []byte, err error) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return last
	}
	return err.Error()
}
