package connect

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"
)

// process is a child whose standard streams are a connection.
type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	pipe   io.ReadCloser
	stderr capped
	once   sync.Once
}

func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, stderr: capped{limit: 4 << 10}}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, &p.stderr
	p.in, p.pipe, p.out = in, out, firstLine(out)
	err = cmd.Start()
	w.Close()
	if err != nil {
		in.Close()
		out.Close()
		return nil, err
	}
	return p, nil
}

func (p *process) Read(b []byte) (int, error)  { return p.out.Read(b) }
func (p *process) Write(b []byte) (int, error) { return p.in.Write(b) }
func (p *process) CloseWrite() error           { return p.in.Close() }

// Close ends the child and waits for it.
func (p *process) Close() error {
	p.once.Do(func() {
		p.in.Close()
		p.pipe.Close()
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	return nil
}

// said is what a child that has been closed wrote to its standard error, for the end of an error.
func (p *process) said() string {
	if text := p.stderr.String(); text != "" {
		return ": " + text
	}
	return ""
}

func (p *process) LocalAddr() net.Addr  { return processAddr{} }
func (p *process) RemoteAddr() net.Addr { return processAddr{} }

func (p *process) SetDeadline(t time.Time) error {
	return errors.Join(p.SetReadDeadline(t), p.SetWriteDeadline(t))
}

func (p *process) SetReadDeadline(t time.Time) error {
	return p.pipe.(*os.File).SetReadDeadline(t)
}

func (p *process) SetWriteDeadline(t time.Time) error {
	if f, ok := p.in.(interface{ SetWriteDeadline(time.Time) error }); ok {
		return f.SetWriteDeadline(t)
	}
	return nil
}

type processAddr struct{}

func (processAddr) Network() string { return "pipe" }
func (processAddr) String() string  { return "process" }
