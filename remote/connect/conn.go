// Package connect reaches a host: through the link's one SSH connection, or on this machine, it
// hands out exchanges with the executor, SFTP channels and commands.
package connect

import (
	"context"
	"io"
	"log/slog"
	"net"

	"github.com/pkg/sftp"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/place"
)

// MaxOutput is how many bytes of each stream of a command Exec keeps; the rest is read and dropped.
const MaxOutput = 1 << 20

// Options are what Open needs to know of its caller.
type Options struct {
	Dirs      place.Dirs
	Prompter  Prompter     // nil: nobody can be asked
	SSHConfig string       // file to read instead of the user's and the system's ssh_config
	Self      []string     // argv of this binary, to which `link` or `executor …` is added
	Log       *slog.Logger // nil: silent
}

// ExecResult is what a command on a host left behind.
type ExecResult struct {
	Stdout []byte `json:"stdout"` // the first MaxOutput bytes
	Stderr []byte `json:"stderr"`
	Code   int    `json:"code"` // 128+n for signal n, as far as the host tells
}

// Conn is a way to one host. Its methods may be called from several goroutines.
type Conn struct {
	host hosts.Host
	way  way
}

// way is what Conn stands on: this machine, a link, or an SSH connection of this process.
type way interface {
	exchange(ctx context.Context) (net.Conn, error)
	sftp(ctx context.Context) (stream, error)
	exec(ctx context.Context, command string, stdin io.Reader) (ExecResult, error)
	hello(ctx context.Context) (api.Hello, error)
	close() error
}

// stream is a channel whose sending side can be closed on its own.
type stream interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// Open returns a way to host. It connects when the first channel is asked for.
func Open(host hosts.Host, opt Options) *Conn {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if host.IsLocal() {
		return &Conn{host: host, way: &local{host: host, self: opt.Self}}
	}
	return &Conn{host: host, way: openRemote(host, opt)}
}

// Host is the host that this leads to.
func (c *Conn) Host() hosts.Host { return c.host }

// Local tells whether the host is this machine.
func (c *Conn) Local() bool { return c.host.IsLocal() }

// Exchange opens one exchange with the executor, which it starts if need be: HTTP/1.1, and what
// that upgrades to. The connection has CloseWrite. Interrupt it with Close: over SSH without a
// link deadlines have no effect.
func (c *Conn) Exchange(ctx context.Context) (net.Conn, error) { return c.way.exchange(ctx) }

// SFTP opens a channel of its own; the caller closes it. A host may allow few at once: a second
// one that fails is no reason to give up.
func (c *Conn) SFTP(ctx context.Context) (*sftp.Client, error) {
	s, err := c.way.sftp(ctx)
	if err != nil {
		return nil, err
	}
	client, err := sftpClient(ctx, s)
	if err != nil {
		return nil, api.Errorf(api.Unreachable, "", "unable to speak SFTP with %s: %w", c.host.Name, err)
	}
	return client, nil
}

// Bulk opens the same channel for a client of the caller's own, who thereby can close it at any
// moment: an SFTP client that is stuck in a write cannot be closed.
func (c *Conn) Bulk(ctx context.Context) (io.ReadWriteCloser, error) {
	s, err := c.way.sftp(ctx)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Exec runs a command by the login shell of the host's user and waits for it. A command that ends
// with a code other than 0 is not an error.
func (c *Conn) Exec(ctx context.Context, command string, stdin io.Reader) (ExecResult, error) {
	return c.way.exec(ctx, command, stdin)
}

// Hello starts the executor if need be and says who answers.
func (c *Conn) Hello(ctx context.Context) (api.Hello, error) { return c.way.hello(ctx) }

// Close gives up what Conn holds; exchanges and SFTP channels that are open stay open through a link.
func (c *Conn) Close() error { return c.way.close() }

// sftpClient speaks the first words of SFTP on s, which it closes when that fails.
func sftpClient(ctx context.Context, s stream) (*sftp.Client, error) {
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	client, err := sftp.NewClientPipe(s, s, sftp.UseConcurrentWrites(true))
	if err != nil {
		s.Close()
		return nil, err
	}
	return client, nil
}
