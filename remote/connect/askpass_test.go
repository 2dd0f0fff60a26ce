//go:build linux

package connect

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestQuestionsOfSSHAreTold(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Prompt{
		"Enter PIN for 'card': ":                                           {Kind: PromptPIN},
		"Enter passphrase for key '/home/a/.ssh/id': ":                     {Kind: PromptPassphrase},
		"alice@host's password: ":                                          {Kind: PromptPassword},
		"(alice@host) Verification code: ":                                 {Kind: PromptChallenge},
		"Are you sure you want to continue (yes/no/[fingerprint])? ":       {Kind: PromptHostKey, Echo: true},
		"none|Confirm user presence for key ECDSA-SK SHA256:x":             {Kind: PromptNotice},
		"confirm|Allow use of key id? Key fingerprint SHA256:x. (yes/no) ": {Kind: PromptHostKey, Echo: true},
	} {
		hint, rest, ok := strings.Cut(text, "|")
		if !ok {
			hint, rest = "", text
		}
		want.Text = strings.TrimSpace(rest)
		if got := question(rest, hint); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

// asked runs the program as ssh does.
func asked(r *relay, text string) (string, error) {
	cmd := exec.Command(r.program(), text)
	cmd.Env = append(os.Environ(), r.env()...)
	out, err := cmd.Output()
	return string(out), err
}

func TestRelay(t *testing.T) {
	t.Parallel()
	runtime := dirs(t).State
	if err := os.MkdirAll(runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	p := &person{answers: map[string]string{PromptPIN: "12 34 "}}
	r, err := newRelay(t.Context(), runtime, "lab", p)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := asked(r, "Enter PIN for 'card': "); err != nil || got != "12 34 \n" {
		t.Errorf("%q, %v", got, err)
	}
	for range 2 { // the second time nobody is asked
		if got, err := asked(r, "alice@lab's password: "); err == nil || got != "" {
			t.Errorf("declined, and ssh was told %q", got)
		}
	}
	if p.kinds() != "pin password" || p.asked[0].Host != "lab" || r.declined() == nil {
		t.Errorf("asked %+v, declined: %v", p.asked, r.declined())
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(runtime); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// A question that stands when ssh has to go must not keep its asker.
func TestRelayEndsWithItsCommand(t *testing.T) {
	t.Parallel()
	runtime := dirs(t).State
	if err := os.MkdirAll(runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	standing := make(chan struct{})
	r, err := newRelay(t.Context(), runtime, "lab", promptFunc(func(ctx context.Context, _ Prompt) (string, error) {
		close(standing)
		<-ctx.Done()
		return "", ctx.Err()
	}))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { _, err := asked(r, "Verification code: "); ended <- err }()
	<-standing
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	var exit *exec.ExitError
	if err := <-ended; !errors.As(err, &exit) {
		t.Errorf("ended with %v", err)
	}
	if !errors.Is(r.declined(), context.Canceled) {
		t.Errorf("declined: %v", r.declined())
	}
}
