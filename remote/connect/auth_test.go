//go:build linux

package connect

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// startMaster runs the user's own ControlMaster.
func startMaster(t *testing.T, cfg, name string) func() {
	t.Helper()
	if out, err := exec.Command("ssh", "-F", cfg, "-M", "-N", "-f", name).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return func() { _ = exec.Command("ssh", "-F", cfg, "-O", "exit", name).Run() }
}

// letIn connects with answers and returns what was asked for.
func letIn(t *testing.T, s *sshtest.Server, idle time.Duration, cfg string, answers map[string]string) (string, error) {
	t.Helper()
	p := &person{answers: answers}
	c := open(t, s, idle, func(_ *hosts.Host, o *Options) {
		if answers != nil {
			o.Prompter = p
		}
		if cfg != "" {
			o.SSHConfig = cfg
		}
	})
	_, err := c.Exec(t.Context(), "true", nil)
	return p.kinds(), err
}

func TestAuthentication(t *testing.T) {
	both := []string{"PubkeyAuthentication yes", "AuthenticationMethods publickey,password"}
	for name, q := range map[string]struct {
		opt     sshtest.Options
		lines   []string
		answers map[string]string
		asked   string
		kind    api.Kind
		fails   bool
	}{
		"key":                  {},
		"certificate":          {opt: sshtest.Options{UserCA: true}},
		"encrypted key":        {opt: sshtest.Options{Passphrase: "open"}, answers: map[string]string{PromptPassphrase: "open"}, asked: "passphrase"},
		"wrong passphrase":     {opt: sshtest.Options{Passphrase: "open"}, answers: map[string]string{PromptPassphrase: "shut"}, asked: "passphrase passphrase passphrase", kind: api.Auth, fails: true},
		"nobody to ask":        {opt: sshtest.Options{Passphrase: "open"}, kind: api.Auth, fails: true},
		"declined":             {opt: sshtest.Options{Passphrase: "open"}, answers: map[string]string{}, asked: "passphrase", kind: api.Auth, fails: true},
		"encrypted, certified": {opt: sshtest.Options{Passphrase: "open", UserCA: true}, answers: map[string]string{PromptPassphrase: "open"}, asked: "passphrase"},
		"password":             {opt: sshtest.Options{Password: "sesame"}, answers: map[string]string{PromptPassword: "sesame"}, asked: "password"},
		"wrong password":       {opt: sshtest.Options{Password: "sesame"}, answers: map[string]string{PromptPassword: "no"}, asked: "password password password", kind: api.Auth, fails: true},
		"challenge":            {opt: sshtest.Options{Password: "sesame", Interactive: true}, answers: map[string]string{PromptChallenge: "sesame"}, asked: "challenge"},
		"challenge, refused":   {opt: sshtest.Options{Password: "sesame", Interactive: true}, answers: map[string]string{PromptChallenge: "no"}, asked: "challenge challenge challenge", kind: api.Auth, fails: true},
		"key and password":     {opt: sshtest.Options{Password: "sesame", Extra: both}, answers: map[string]string{PromptPassword: "sesame"}, asked: "password"},
		"one of two":           {opt: sshtest.Options{Password: "sesame", Extra: both}, kind: api.Auth, fails: true},
		"no challenge to give": {opt: sshtest.Options{Password: "sesame", Extra: []string{"KbdInteractiveAuthentication yes"}}, answers: map[string]string{PromptPassword: "sesame"}, asked: "password"},
		"unknown host":         {opt: sshtest.Options{Unknown: true}, kind: api.HostKey, fails: true},
		"unknown, accepted":    {opt: sshtest.Options{Unknown: true}, answers: map[string]string{PromptHostKey: "yes"}, asked: "host-key"},
		"unknown, refused":     {opt: sshtest.Options{Unknown: true}, answers: map[string]string{PromptHostKey: "no"}, asked: "host-key", kind: api.HostKey, fails: true},
		"unknown, strict":      {opt: sshtest.Options{Unknown: true}, lines: []string{"StrictHostKeyChecking yes"}, answers: map[string]string{PromptHostKey: "yes"}, kind: api.HostKey, fails: true},
		"unknown, accept-new":  {opt: sshtest.Options{Unknown: true}, lines: []string{"StrictHostKeyChecking accept-new", "HashKnownHosts yes"}},
		"host certificate":     {opt: sshtest.Options{HostCA: true}},
		"no key":               {lines: []string{"PubkeyAuthentication no"}, kind: api.Auth, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, idle time.Duration) {
				s := sshtest.Start(t, q.opt)
				asked, err := letIn(t, s, idle, s.Config("cfg", q.lines...), q.answers)
				if (err != nil) != q.fails || q.fails && api.KindOf(err) != q.kind {
					t.Errorf("kind %d, %v", api.KindOf(err), err)
				}
				if asked != q.asked {
					t.Errorf("asked for %q, want %q", asked, q.asked)
				}
			})
		})
	}
}

func TestAcceptedHostKeyIsRemembered(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{Unknown: true})
	for i, want := range []string{"host-key", ""} {
		asked, err := letIn(t, s, 0, "", map[string]string{PromptHostKey: "yes"})
		if err != nil || asked != want {
			t.Errorf("time %d: asked %q, %v", i+1, asked, err)
		}
	}
	if out, err := exec.Command("ssh", "-F", s.ConfigFile, "-o", "BatchMode=yes", s.Name, "true").CombinedOutput(); err != nil {
		t.Errorf("OpenSSH does not know it: %s", out)
	}
}

func TestChangedHostKeyAlwaysFails(t *testing.T) {
	t.Parallel()
	for _, checking := range []string{"ask", "no", "accept-new", "yes"} {
		t.Run(checking, func(t *testing.T) {
			t.Parallel()
			s := sshtest.Start(t, sshtest.Options{})
			s.ChangeHostKey()
			asked, err := letIn(t, s, 0, s.Config("cfg", "StrictHostKeyChecking "+checking), map[string]string{PromptHostKey: "yes"})
			var e *api.Error
			if !errors.As(err, &e) || e.Kind != api.HostKey || asked != "" {
				t.Fatalf("asked %q, %v", asked, err)
			}
			_, fix, _ := strings.Cut(e.Hint, "ssh-keygen")
			if out, err := exec.Command("/bin/sh", "-c", "ssh-keygen"+fix).CombinedOutput(); err != nil {
				t.Errorf("%s: %s", e.Hint, out)
			}
			if data, err := os.ReadFile(s.KnownHosts); err != nil || len(data) > 0 {
				t.Errorf("the hint leaves %q, %v", data, err)
			}
		})
	}
}

func TestAgent(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{Passphrase: "open"})
	data, err := os.ReadFile(s.Identity)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParseRawPrivateKeyWithPassphrase(data, []byte("open"))
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.Dir, "agent")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(ring, c) }()
		}
	}()
	asked, err := letIn(t, s, 0, s.Config("agent-config", "IdentityAgent "+path), map[string]string{PromptPassphrase: "open"})
	if err != nil || asked != "" {
		t.Errorf("asked %q, %v", asked, err)
	}
}
