package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/connect"
	xterm "golang.org/x/term"
)

// prompter asks on the terminal.
type prompter struct {
	term.Streams
	status *term.Status            // kept away while a question stands; nil: there is none
	screen *atomic.Pointer[screen] // the job that has the terminal
}

// Prompt shows p and reads one line, without echo unless p allows it. Text from a host is made
// safe: it could otherwise draw a question of its own.
func (p *prompter) Prompt(ctx context.Context, ask connect.Prompt) (string, error) {
	if p.status != nil {
		p.status.Hold(true)
		defer p.status.Hold(false)
	}
	defer p.screen.Load().yield()()
	safe := term.NewSafeWriter(p.Err)
	io.WriteString(safe, ask.Text)
	if ask.Kind == connect.PromptNotice {
		fmt.Fprintln(p.Err)
		return "", nil
	}
	if !strings.HasSuffix(ask.Text, " ") {
		io.WriteString(safe, " ")
	}
	type reply struct {
		text string
		err  error
	}
	state, stateErr := xterm.GetState(int(p.In.Fd()))
	answered := make(chan reply, 1)
	go func() {
		text, err := p.read(ask.Echo)
		answered <- reply{text, err}
	}()
	select {
	case r := <-answered:
		return r.text, r.err
	case <-ctx.Done():
		if stateErr == nil { // echo must come back although the read goes on
			_ = xterm.Restore(int(p.In.Fd()), state)
		}
		fmt.Fprintln(p.Err)
		return "", context.Cause(ctx)
	}
}

func (p *prompter) read(echo bool) (string, error) {
	if echo {
		return readLine(p.In)
	}
	secret, err := xterm.ReadPassword(int(p.In.Fd()))
	fmt.Fprintln(p.Err)
	if err != nil {
		return "", api.Errorf(api.Auth, "", "unable to read the answer: %w", err)
	}
	return string(secret), nil
}

func readLine(f *os.File) (string, error) {
	line, err := bufio.NewReaderSize(f, 1).ReadString('\n')
	if err != nil && line == "" {
		return "", api.Errorf(api.Auth, "", "unable to read the answer: %w", err)
	}
	return strings.TrimSpace(line), nil
}
