package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/caret"
	"github.com/cyclops-fpga/cyclops/remote/connect"
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
	safe := caret.New(p.Err)
	io.WriteString(safe, ask.Text)
	if ask.Kind == connect.PromptNotice {
		fmt.Fprintln(p.Err)
		return "", nil
	}
	if !strings.HasSuffix(ask.Text, " ") {
		io.WriteString(safe, " ")
	}
	text, err := term.ReadLine(ctx, p.In, ask.Echo)
	if !ask.Echo || ctx.Err() != nil {
		fmt.Fprintln(p.Err) // for the one that was not echoed
	}
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case err != nil:
		return "", api.Errorf(api.Auth, "", "unable to read the answer: %w", err)
	case ask.Echo:
		text = strings.TrimSpace(text)
	}
	return text, nil
}
