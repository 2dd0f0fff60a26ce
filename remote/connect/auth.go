package connect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
)

// auth gathers the ways in which a user may be let in, in the order in which OpenSSH tries them.
type auth struct {
	ctx    context.Context
	res    *hosts.Resolved
	prompt Prompter
	keys   *keyring
	agent  io.Closer
	tried  []string // what was offered, for the error
	locked []string // encrypted keys that nobody could be asked about
	tokens bool     // a key is on a security token
	ticket bool     // Kerberos may let the user in
	failed error    // a person declined
}

// errWithheld ends an attempt before a question that OpenSSH may have no need of.
var errWithheld = errors.New("left to OpenSSH")

func newAuth(ctx context.Context, res *hosts.Resolved, prompt Prompter) *auth {
	if res.Batch {
		prompt = nil
	}
	return &auth{ctx: ctx, res: res, prompt: prompt, ticket: res.GSSAPI && hasTicket(ctx)}
}

// hasTicket tells whether the user has a Kerberos ticket that is valid.
func hasTicket(ctx context.Context) bool {
	return exec.CommandContext(ctx, "klist", "-s").Run() == nil
}

func (a *auth) close() {
	if a.agent != nil {
		a.agent.Close()
	}
}

func (a *auth) methods() []ssh.AuthMethod {
	var list []ssh.AuthMethod
	if a.res.Pubkey {
		list = append(list, ssh.PublicKeysCallback(func() ([]ssh.Signer, error) { return a.signers(), nil }))
	}
	if a.prompt == nil {
		return list
	}
	tries := max(1, a.res.Prompts)
	if a.res.Interactive {
		list = append(list, ssh.RetryableAuthMethod(ssh.KeyboardInteractive(a.challenge), tries))
	}
	if a.res.Password {
		list = append(list, ssh.RetryableAuthMethod(ssh.PasswordCallback(a.password), tries))
	}
	return list
}

// ask puts a question to the person; one who declines ends the whole attempt.
func (a *auth) ask(p Prompt) (string, error) {
	switch {
	case a.failed != nil:
		return "", a.failed
	case a.withheld() && p.Kind != PromptPassphrase:
		return "", errWithheld
	}
	answer, err := a.prompt.Prompt(a.ctx, p)
	if err != nil {
		a.failed = api.Errorf(api.Auth, "", "unable to log in to %s: %w", a.res.Alias, err)
	}
	return answer, err
}

func (a *auth) password() (string, error) {
	if !a.withheld() {
		a.offer("password")
	}
	return a.ask(Prompt{Kind: PromptPassword, Host: a.res.Alias, Text: fmt.Sprintf("%s@%s's password:", a.res.User, a.res.HostName)})
}

// challenge answers keyboard-interactive, whose words are the host's.
func (a *auth) challenge(name, instruction string, questions []string, echos []bool) ([]string, error) {
	const maxQuestions = 16
	if len(questions) > maxQuestions {
		return nil, errors.New("too many questions")
	}
	a.offer("keyboard-interactive")
	answers := make([]string, len(questions))
	for i, q := range questions {
		text := strings.TrimSpace(strings.Join([]string{name, instruction, q}, "\n"))
		answer, err := a.ask(Prompt{Kind: PromptChallenge, Host: a.res.Alias, Text: text, Echo: echos[i]})
		if err != nil {
			return nil, err
		}
		answers[i] = answer
	}
	return answers, nil
}

func (a *auth) offer(what string) {
	const most = 12
	if len(a.tried) < most {
		a.tried = append(a.tried, what)
	}
}

// withheld tells whether to leave passwords and challenges to OpenSSH, which may get in without.
func (a *auth) withheld() bool { return a.tokens || a.ticket || a.res.PKCS11 != "" }

// beyondUs tells whether OpenSSH has ways in that this client lacks.
func (a *auth) beyondUs() bool { return a.failed == nil && (a.withheld() || a.res.GSSAPI) }

func (a *auth) refused(name string) error {
	hint := "check the user and that the host knows your key: ssh-copy-id " + name
	switch {
	case len(a.locked) > 0:
		hint = "unlock the key first: ssh-add " + Quote(a.locked[0])
	case a.prompt == nil && (a.res.Password || a.res.Interactive):
		hint += "; a password can be asked for on a terminal only"
	}
	tried := "no key was found to offer"
	if len(a.tried) > 0 {
		tried = "tried " + strings.Join(a.tried, ", ")
	}
	return api.Errorf(api.Auth, hint, "%s does not let %s in: %s", name, a.res.User, tried)
}
