package connect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
)

const (
	connectTimeout = 15 * time.Second // when ssh_config has none
	maxJumps       = 8                // a ring of ProxyJumps would not end
	clientVersion  = "SSH-2.0-Cyclops"
)

// dialer makes an SSH connection to one host.
type dialer struct {
	name     string // of the host, as the user knows it
	resolver hosts.Resolver
	prompt   Prompter
	runtime  string // where sockets of masters go
	log      *slog.Logger
	trace    func(Step)
	keys     *keyring
	greeted  time.Duration // how long the host took to show its key when it was connected to before; 0: never was
}

// Step is one link of the chain to a host.
type Step struct {
	Name string // "resolve", "connect", "host key", "authentication"
	Text string // what was found
	Err  error
}

// wired is an SSH connection and what it stands on.
type wired struct {
	*ssh.Client
	wire   *wire
	took   time.Duration // for the host to show its key
	shared bool          // it is a master's, which other programs use too
	base   []io.Closer   // closed after the client, in order
}

func (w *wired) Close() error {
	err := w.Client.Close()
	for _, c := range w.base {
		c.Close()
	}
	return err
}

func (d *dialer) step(name, text string, err error) {
	if d.trace != nil {
		d.trace(Step{Name: name, Text: text, Err: err})
	}
}

// dial resolves and connects to dest.
func (d *dialer) dial(ctx context.Context, dest hosts.Destination, depth int) (*wired, error) {
	res, err := d.resolver.Resolve(ctx, dest)
	if err != nil {
		d.step("resolve", "", err)
		return nil, err
	}
	d.step("resolve", fmt.Sprintf("%s is %s@%s port %d", dest.Host, res.User, res.HostName, res.Port), nil)
	if w := d.reuse(ctx, res); w != nil {
		d.step("connect", "through the ControlMaster at "+res.ControlPath, nil)
		return w, nil
	}
	conn, base, err := d.reach(ctx, res, depth)
	if err != nil {
		d.step("connect", "", err)
		return nil, err
	}
	d.step("connect", conn.RemoteAddr().String()+" answers", nil)
	return d.secure(ctx, dest, res, conn, base)
}

// secure makes an SSH connection of conn, or has OpenSSH make one where our client cannot.
func (d *dialer) secure(ctx context.Context, dest hosts.Destination, res *hosts.Resolved, conn net.Conn, base []io.Closer) (*wired, error) {
	auth := newAuth(ctx, res, d.prompt)
	auth.keys = d.keys
	defer auth.close()
	w, err := d.handshake(ctx, res, conn, auth)
	if err != nil {
		closeAll(base)
		if !auth.beyondUs() || api.KindOf(err) != api.Auth || ctx.Err() != nil {
			return nil, err
		}
		d.log.Info("asking OpenSSH to connect", "host", res.Alias, "because", err)
		return d.master(ctx, dest, auth.withheld())
	}
	w.base = append(w.base, base...)
	return w, nil
}

func closeAll(list []io.Closer) {
	for _, c := range list {
		c.Close()
	}
}

// handshake checks the host's key and logs in. It closes conn when it fails.
func (d *dialer) handshake(ctx context.Context, res *hosts.Resolved, conn net.Conn, auth *auth) (*wired, error) {
	line := newWire(conn)
	vigil := d.vigil(line)
	defer vigil.end()
	auth.prompt = vigil.over(auth.prompt)
	key, err := newHostKey(ctx, res, vigil.over(d.prompt), d.name)
	if err != nil {
		conn.Close()
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { line.Close() })
	defer stop()
	silent := time.AfterFunc(d.greetLimit(res), func() { line.Close() })
	defer silent.Stop()
	var took time.Duration
	cfg := &ssh.ClientConfig{
		User: res.User, Auth: auth.methods(), ClientVersion: clientVersion, HostKeyAlgorithms: key.algorithms(),
		HostKeyCallback: func(_ string, _ net.Addr, k ssh.PublicKey) error {
			silent.Stop()
			took = time.Since(line.born)
			vigil.begin()
			return key.check(k)
		},
	}
	c, chans, reqs, err := ssh.NewClientConn(line, key.address, cfg)
	if err != nil {
		line.Close()
		err = d.explain(ctx, res, key, auth, err)
		d.stepsAfter(key, err)
		return nil, err
	}
	d.stepsAfter(key, nil)
	return &wired{Client: ssh.NewClient(c, chans, reqs), wire: line, took: took}, nil
}

func (d *dialer) stepsAfter(key *hostKey, err error) {
	if !key.accepted {
		d.step("host key", "", err)
		return
	}
	d.step("host key", key.said, nil)
	d.step("authentication", "let in", err)
}

// explain turns a failed handshake into what a person can act on.
func (d *dialer) explain(ctx context.Context, res *hosts.Resolved, key *hostKey, auth *auth, err error) error {
	switch {
	case key.failed != nil:
		return key.failed
	case auth.failed != nil:
		return auth.failed
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errWithheld) || strings.Contains(err.Error(), "unable to authenticate"):
		return auth.refused(d.name)
	}
	return api.Errorf(api.Unreachable, "ssh -v "+res.Alias+" tells more", "unable to speak SSH with %s: %s", d.name, strings.TrimPrefix(err.Error(), "ssh: handshake failed: "))
}

func timeout(res *hosts.Resolved) time.Duration {
	if res.ConnectTimeout > 0 {
		return res.ConnectTimeout
	}
	return connectTimeout
}

// reach makes the connection that SSH will run on: TCP, a command's pipes, or a channel of a jump host.
func (d *dialer) reach(ctx context.Context, res *hosts.Resolved, depth int) (net.Conn, []io.Closer, error) {
	address := net.JoinHostPort(res.HostName, strconv.Itoa(res.Port))
	switch {
	case res.ProxyCommand != "":
		conn, err := proxyCommand(res.ProxyCommand)
		if err != nil {
			return nil, nil, api.Errorf(api.Unreachable, "", "unable to run the ProxyCommand of %s: %w", d.name, err)
		}
		return conn, nil, nil
	case len(res.ProxyJump) > 0:
		return d.jump(ctx, res, address, depth)
	}
	conn, err := dialTCP(ctx, res.Network, address, timeout(res))
	if err != nil {
		return nil, nil, unreachable(d.name, address, err)
	}
	return conn, nil, nil
}

func unreachable(name, address string, err error) error {
	hint := "check that the host is up and that the network leads there"
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return api.Errorf(api.Unreachable, "check the name, or add it to ~/.ssh/config or config.toml", "unable to find host %s: no address for %s", name, dns.Name)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return api.Errorf(api.Unreachable, hint, "unable to reach %s at %s: %w", name, address, err)
}

// jump goes through the hosts of ProxyJump, one after another.
func (d *dialer) jump(ctx context.Context, res *hosts.Resolved, address string, depth int) (net.Conn, []io.Closer, error) {
	if depth >= maxJumps {
		return nil, nil, api.Errorf(api.Usage, "look for a ring of ProxyJump in ssh_config", "unable to reach %s: more than %d jump hosts", d.name, maxJumps)
	}
	last := res.ProxyJump[len(res.ProxyJump)-1]
	dest, err := hosts.ParseDestination(last)
	if err != nil {
		return nil, nil, err
	}
	via := *d
	via.name, via.trace = last, nil
	through, err := via.through(ctx, dest, res.ProxyJump[:len(res.ProxyJump)-1], depth+1)
	if err != nil {
		return nil, nil, err
	}
	limited, cancel := context.WithTimeout(ctx, timeout(res))
	defer cancel()
	conn, err := await(limited, func() (net.Conn, error) { return through.Dial("tcp", address) })
	if err != nil {
		through.Close()
		return nil, nil, api.Errorf(api.Unreachable, "", "unable to reach %s from %s: %w", address, last, err)
	}
	return conn, []io.Closer{through}, nil
}

// through connects to a jump host, itself behind the hosts before it in the list.
func (d *dialer) through(ctx context.Context, dest hosts.Destination, before []string, depth int) (*wired, error) {
	if len(before) == 0 {
		return d.dial(ctx, dest, depth)
	}
	res, err := d.resolver.Resolve(ctx, dest)
	if err != nil {
		return nil, err
	}
	res.ProxyJump, res.ProxyCommand = before, ""
	conn, base, err := d.reach(ctx, res, depth)
	if err != nil {
		return nil, err
	}
	return d.secure(ctx, dest, res, conn, base)
}

// await runs f and gives up waiting when ctx ends; what f then still brings is closed.
func await[T io.Closer](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := f()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.err == nil {
				r.v.Close()
			}
		}()
		var none T
		return none, ctx.Err()
	}
}
