package remote

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/url"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// Forward opens a TCP connection from the host of a running job to a port that it reaches,
// HOST:PORT. It has CloseWrite, and ends with the job.
func (c *Client) Forward(ctx context.Context, job, to string) (net.Conn, error) {
	conn, err := c.exchanger.Exchange(ctx)
	if err != nil {
		return nil, contactError(err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	f := &forwardConn{Conn: conn, r: bufio.NewReader(conn)}
	err = f.open(job, to)
	if !stop() || err != nil {
		conn.Close()
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, contactError(err)
	}
	return f, nil
}

// forwardConn is an exchange that became a TCP connection of the host's.
type forwardConn struct {
	net.Conn
	r *bufio.Reader
}

func (f *forwardConn) open(job, to string) error {
	request := upgradeRequest(jobPath(api.PathForward, job)+"?to="+url.QueryEscape(to), api.ForwardProtocol)
	if _, err := io.WriteString(f.Conn, request); err != nil {
		return err
	}
	return readUpgrade(f.r, "a connection")
}

func (f *forwardConn) Read(p []byte) (int, error) { return f.r.Read(p) }

// CloseWrite ends what is sent; what comes goes on.
func (f *forwardConn) CloseWrite() error {
	if half, ok := f.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return f.Conn.Close()
}
