package connect

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// linkVersion, with the version of the API, is part of the socket's name, so that a link of another version is never spoken with.
//
//	1  2026-11-21  first version
//	2  2026-11-21  empty replies while a request is being worked on
const linkVersion = 2

// A link that works on a request says so every linkBeat, and is given up when it says nothing for linkSilence.
const (
	linkBeat    = time.Second
	linkSilence = 4 * time.Second
	linkGrace   = 500 * time.Millisecond
)

// maxMessage bounds one line between a client and its link; an ExecResult is the largest.
const maxMessage = 4 << 20

// The requests to a link.
const (
	opExchange = "exchange"
	opSFTP     = "sftp"
	opExec     = "exec"
	opHello    = "hello"
	opStop     = "stop"
)

// request is the first line on a connection to the link. The link answers with replies: prompts,
// each answered by a line, empty ones every linkBeat, then one that is Done or holds an Error. After Done of an exchange or
// SFTP, and before it for the input of a command, the connection carries bytes.
type request struct {
	Op      string `json:"op"`
	Command string `json:"command,omitempty"`
	Prompts bool   `json:"prompts"`         // somebody can be asked
	Agent   string `json:"agent,omitempty"` // SSH_AUTH_SOCK of the client
	Client  string `json:"client"`          // names a Conn
}

type reply struct {
	Prompt *Prompt     `json:"prompt,omitempty"`
	Input  bool        `json:"input,omitempty"` // the command runs: its input may come
	Done   bool        `json:"done,omitempty"`
	Error  *api.Error  `json:"error,omitempty"`
	Hello  *api.Hello  `json:"hello,omitempty"`
	Result *ExecResult `json:"result,omitempty"`
}

type answer struct {
	Text   string `json:"text"`
	Failed string `json:"failed,omitempty"`
}

// lines is a connection between a client and its link while it carries lines.
type lines struct {
	net.Conn
	r *bufio.Reader
}

func newLines(c net.Conn) *lines { return &lines{Conn: c, r: bufio.NewReaderSize(c, 16<<10)} }

func (l *lines) send(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = l.Conn.Write(append(data, '\n'))
	return err
}

func (l *lines) receive(v any) error {
	var line []byte
	for {
		part, err := l.r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxMessage {
			return errors.New("a line of the link is too long")
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return err
		}
		break
	}
	if err := json.Unmarshal(line, v); err != nil {
		return fmt.Errorf("unable to read a line of the link: %w", err)
	}
	return nil
}

// Read returns what came behind the lines.
func (l *lines) Read(p []byte) (int, error) { return l.r.Read(p) }

// WriteTo lets io.Copy read into one large buffer.
func (l *lines) WriteTo(w io.Writer) (int64, error) { return l.r.WriteTo(w) }

// CloseWrite ends what this side sends.
func (l *lines) CloseWrite() error {
	if c, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.New("the connection cannot be closed on one side")
}

// asError makes an error fit to be sent.
func asError(err error) *api.Error {
	var e *api.Error
	if errors.As(err, &e) {
		return e
	}
	return &api.Error{Kind: api.Internal, Message: err.Error()}
}
