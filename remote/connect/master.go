package connect

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
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
	path  string
	cmd   *exec.Cmd
	ended chan struct{} // closed when it is gone; its state is known then
}

// masterLeaves is how long a master may take to leave by itself.
const masterLeaves = 2 * time.Second

// Close has the master leave, and makes it.
func (m *ownMaster) Close() error {
	defer os.Remove(m.path)
	_ = m.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(masterLeaves, func() { _ = m.cmd.Process.Kill() })
	defer timer.Stop()
	if runtime.GOOS == "windows" { // it knows no such signal
		_ = m.cmd.Process.Kill()
	}
	<-m.ended
	return nil
}

// master has `ssh -M -N` connect, as a child that ends with this process. Only what the person was
// not asked for before is asked for now: with all false, nothing.
func (d *dialer) master(ctx context.Context, dest hosts.Destination, all bool) (*wired, error) {
	if err := ownDirectory(d.runtime); err != nil {
		return nil, api.Errorf(api.Refused, "", "unable to keep the socket of ssh -M: %w", err)
	}
	m := &ownMaster{path: filepath.Join(d.runtime, "m-"+strings.ToLower(rand.Text()[:12])), ended: make(chan struct{})}
	flags := []string{"-M", "-N", "-o", "PermitLocalCommand=yes", "-o", "LocalCommand=echo " + masterReady, "-o", "ControlPersist=no", "-o", "ClearAllForwardings=yes", "-o", "ForwardAgent=no"}
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
	m.cmd = exec.Command("ssh", append(flags, d.masterArgs(m.path, dest)...)...)
	m.cmd.Env, m.cmd.SysProcAttr = env, endsWithUs()
	if err := d.letIn(ctx, m, asks, dest); err != nil {
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

func (d *dialer) masterArgs(path string, dest hosts.Destination) []string {
	args := []string{"-S", path}
	if d.resolver.File != "" {
		args = append(args, "-F", d.resolver.File)
	}
	if dest.Port != 0 {
		args = append(args, "-p", strconv.Itoa(dest.Port))
	}
	return append(args, "--", dest.String())
}

// masterReady is what a master says when it has been let in and listens.
const masterReady = "cyclops-let-in"

// letIn starts a master and waits until it listens. It is gone when that fails.
func (d *dialer) letIn(ctx context.Context, m *ownMaster, asks *relay, dest hosts.Destination) error {
	said, err := os.CreateTemp(d.runtime, "ssh-")
	if err != nil {
		return err
	}
	defer os.Remove(said.Name())
	defer said.Close()
	m.cmd.Stderr = said // a file: nobody reads it later
	listens, err := m.start()
	if err != nil {
		return api.Errorf(api.Auth, "", "%s does not let you in, and ssh cannot be run: %w", d.name, err)
	}
	select {
	case ok := <-listens:
		if ok {
			return nil
		}
	case <-m.ended:
	case <-ctx.Done():
	}
	m.Close()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case asks != nil && asks.declined() != nil:
		return asks.declined()
	}
	text, _ := os.ReadFile(said.Name())
	return api.Errorf(api.Auth, "ssh "+dest.String()+" shows the same", "%s does not let you in: %s", d.name, lastLine(text, m.cmd.ProcessState))
}

// start runs the master. The channel tells once whether it listens, false when it will not.
func (m *ownMaster) start() (<-chan bool, error) {
	out, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	m.cmd.Stdout = w
	err = m.cmd.Start()
	w.Close()
	if err != nil {
		out.Close()
		return nil, err
	}
	go func() { defer close(m.ended); _ = m.cmd.Wait() }()
	listens := make(chan bool, 1)
	go func() {
		defer out.Close()
		lines := bufio.NewScanner(out)
		for lines.Scan() && strings.TrimSpace(lines.Text()) != masterReady { // a shell's login files may say more
		}
		listens <- strings.TrimSpace(lines.Text()) == masterReady
		_, _ = io.Copy(io.Discard, out) // until it ends
	}()
	return listens, nil
}

// lastLine is the last line of text; where there is none, how the process ended.
func lastLine(text []byte, state *os.ProcessState) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return last
	}
	return state.String()
}
