package connect

import "context"

// The kinds of prompts.
const (
	PromptHostKey    = "host-key"   // unknown host key; the answer is "yes" or anything else
	PromptPassword   = "password"   // of the user on the host
	PromptPassphrase = "passphrase" // of a private key
	PromptChallenge  = "challenge"  // keyboard-interactive, the host's own words
	PromptPIN        = "pin"        // of a security token
	PromptNotice     = "notice"     // nothing is asked: "touch your key"
)

// Prompt is a question that only a person can answer.
type Prompt struct {
	Kind string `json:"kind"`
	Host string `json:"host"` // the host that asks, which may be one on the way
	Text string `json:"text"` // may hold bytes of the host's choosing: show it as hostile
	Echo bool   `json:"echo"` // the answer is not secret
}

// Prompter asks a person.
type Prompter interface {
	Prompt(ctx context.Context, p Prompt) (string, error)
}
