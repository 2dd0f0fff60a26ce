package connect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

const (
	askpassName   = "cyclops-askpass" // the name under which ssh starts this program to put a question
	askpassSocket = "CYCLOPS_ASKPASS" // says to it where whoever can ask listens
)

// AskpassRole tells whether ssh started this program to put a question.
func AskpassRole(args []string) bool {
	return len(args) > 0 && filepath.Base(args[0]) == askpassName && os.Getenv(askpassSocket) != ""
}

// Askpass puts the question in args to whoever started ssh, prints the answer for ssh, and returns
// the exit code, which is how ssh is told that somebody declined.
func Askpass(args []string, stdout io.Writer) int {
	text, err := putQuestion(os.Getenv(askpassSocket), question(strings.Join(args[1:], " "), os.Getenv("SSH_ASKPASS_PROMPT")))
	if err != nil {
		return 1
	}
	fmt.Fprintln(stdout, text)
	return 0
}

func putQuestion(path string, p Prompt) (string, error) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := json.NewEncoder(conn).Encode(p); err != nil {
		return "", err
	}
	var a answer
	if err := json.NewDecoder(conn).Decode(&a); err != nil {
		return "", err
	}
	if a.Failed != "" {
		return "", errors.New(a.Failed)
	}
	return a.Text, nil
}

// question tells by ssh's words what it wants to know: it tells askpass nothing else.
func question(text, hint string) Prompt {
	p := Prompt{Kind: PromptChallenge, Text: strings.TrimSpace(text)}
	switch {
	case hint == "none":
		p.Kind = PromptNotice
	case hint == "confirm" || strings.Contains(p.Text, "(yes/no"):
		p.Kind, p.Echo = PromptHostKey, true
	case strings.HasPrefix(p.Text, "Enter PIN"):
		p.Kind = PromptPIN
	case strings.HasPrefix(p.Text, "Enter passphrase"):
		p.Kind = PromptPassphrase
	case strings.HasSuffix(p.Text, "'s password:"):
		p.Kind = PromptPassword
	}
	return p
}

// relay takes the questions of an ssh that this process runs to the person that it works for.
type relay struct {
	ctx    context.Context
	cancel context.CancelFunc
	dir    string
	host   string
	prompt Prompter
	l      net.Listener
	served sync.WaitGroup

	mu     sync.Mutex // one question at a time
	failed error      // a person declined
}

func newRelay(ctx context.Context, runtime, host string, prompt Prompter) (*relay, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(runtime, "ask-")
	if err != nil {
		return nil, err
	}
	r := &relay{dir: dir, host: host, prompt: prompt}
	r.ctx, r.cancel = context.WithCancel(ctx)
	if err = os.Symlink(self, r.program()); err == nil {
		r.l, err = listenPrivate(r.socket())
	}
	if err != nil {
		r.cancel()
		os.RemoveAll(dir)
		return nil, err
	}
	r.served.Go(r.serve)
	return r, nil
}

func (r *relay) program() string { return filepath.Join(r.dir, askpassName) }
func (r *relay) socket() string  { return filepath.Join(r.dir, "s") }

// env makes ssh ask here: up to OpenSSH 8.3 it does so only where it sees a display and no terminal.
func (r *relay) env() []string {
	return []string{"SSH_ASKPASS=" + r.program(), "SSH_ASKPASS_REQUIRE=force", "DISPLAY=" + display(), askpassSocket + "=" + r.socket()}
}

func display() string {
	if d := os.Getenv("DISPLAY"); d != "" {
		return d
	}
	return ":0"
}

func (r *relay) serve() {
	for {
		conn, err := r.l.Accept()
		if err != nil {
			return
		}
		r.served.Go(func() {
			defer conn.Close()
			stop := context.AfterFunc(r.ctx, func() { conn.Close() })
			defer stop()
			r.one(conn)
		})
	}
}

// one relays a question. After one that was declined nothing is asked any more.
func (r *relay) one(conn net.Conn) {
	var p Prompt
	if json.NewDecoder(io.LimitReader(conn, maxMessage)).Decode(&p) != nil {
		return
	}
	p.Host = r.host
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != nil {
		_ = json.NewEncoder(conn).Encode(answer{Failed: r.failed.Error()})
		return
	}
	text, err := r.prompt.Prompt(r.ctx, p)
	if err != nil {
		r.failed = api.Errorf(api.Auth, "", "unable to log in to %s: %w", r.host, err)
		_ = json.NewEncoder(conn).Encode(answer{Failed: err.Error()})
		return
	}
	_ = json.NewEncoder(conn).Encode(answer{Text: text})
}

// declined is what a person said no to.
func (r *relay) declined() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// Close ends what is being asked.
func (r *relay) Close() error {
	r.cancel()
	r.l.Close()
	r.served.Wait()
	return os.RemoveAll(r.dir)
}
