package term

import (
	"context"
	"os"

	xterm "golang.org/x/term"
)

// ReadLine reads the answer to a question from the console f. A console's read cannot be ended:
// when ctx ends first, the echo comes back and the read takes one more line.
func ReadLine(ctx context.Context, f *os.File, echo bool) (string, error) {
	type reply struct {
		text string
		err  error
	}
	state, stateErr := xterm.GetState(int(f.Fd()))
	answered := make(chan reply, 1)
	go func() {
		if echo {
			text, err := readLine(f)
			answered <- reply{text, err}
			return
		}
		secret, err := xterm.ReadPassword(int(f.Fd()))
		answered <- reply{string(secret), err}
	}()
	select {
	case r := <-answered:
		return r.text, r.err
	case <-ctx.Done():
		if stateErr == nil {
			_ = xterm.Restore(int(f.Fd()), state)
		}
		return "", context.Cause(ctx)
	}
}
