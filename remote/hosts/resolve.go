package hosts

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// Resolved is a destination as ssh_config makes it. Paths are expanded.
type Resolved struct {
	Alias            string // what was asked for
	HostName         string
	User             string
	Port             int
	HostKeyAlias     string
	Network          string // "tcp", "tcp4", "tcp6"
	ConnectTimeout   time.Duration
	IdentityFiles    []string
	CertificateFiles []string
	IdentityAgent    string // path of the agent's socket; empty: none
	IdentitiesOnly   bool
	KnownHosts       []string // the first is written to
	GlobalKnownHosts []string
	HostKeyChecking  string // "yes", "no", "ask", "accept-new"
	HashKnownHosts   bool
	ProxyJump        []string
	ProxyCommand     string // tokens expanded
	ControlPath      string
	Pubkey           bool
	Password         bool
	Interactive      bool // keyboard-interactive
	Batch            bool // never ask for a secret
	Prompts          int  // how often a password is asked for
	GSSAPI           bool
	PKCS11           string
}

// Resolver resolves destinations with one ssh_config.
type Resolver struct {
	File  string // ssh_config; empty: the user's and the system's
	Agent string // SSH_AUTH_SOCK of the user who asks
}

// Resolve asks `ssh -G`, and reads ssh_config itself where there is no ssh.
func (r Resolver) Resolve(ctx context.Context, d Destination) (*Resolved, error) {
	program, err := exec.LookPath("ssh")
	if err != nil {
		return r.read(d)
	}
	args := []string{"-G"}
	if r.File != "" {
		args = append(args, "-F", r.File)
	}
	if d.User != "" {
		args = append(args, "-l", d.User)
	}
	if d.Port != 0 {
		args = append(args, "-p", strconv.Itoa(d.Port))
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, append(args, "--", d.Host)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK="+r.Agent)
	if err := cmd.Run(); err != nil {
		return nil, refusal(d, strings.TrimSpace(stderr.String()), err)
	}
	return r.settle(d, parseG(stdout.Bytes()))
}

func refusal(d Destination, said string, err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) || said == "" {
		return api.Errorf(api.Usage, "", "unable to resolve host %s: %w", d.Host, err)
	}
	line, _, _ := strings.Cut(said, "\n")
	return api.Errorf(api.Usage, "ssh -G "+d.Host+" shows the same", "unable to resolve host %s: %s", d.Host, line)
}

// settings are keywords in lower case with their values, in order.
type settings map[string][]string

// parseG reads the output of `ssh -G`: a keyword, a space and a value on each line.
func parseG(out []byte) settings {
	s := settings{}
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		s[strings.ToLower(key)] = append(s[strings.ToLower(key)], value)
	}
	return s
}

func (s settings) get(key string) string {
	if v := s[key]; len(v) > 0 && !strings.EqualFold(v[0], "none") {
		return v[0]
	}
	return ""
}

func (s settings) yes(key string) bool {
	switch strings.ToLower(s.get(key)) {
	case "yes", "true":
		return true
	}
	return false
}

func (s settings) number(key string) int {
	n, err := strconv.Atoi(s.get(key))
	if err != nil {
		return 0
	}
	return n
}

// settle turns settings into a Resolved.
func (r Resolver) settle(d Destination, s settings) (*Resolved, error) {
	res := &Resolved{
		Alias: d.Host, HostName: strings.ReplaceAll(s.get("hostname"), "%h", d.Host), User: s.get("user"), Port: s.number("port"),
		HostKeyAlias: s.get("hostkeyalias"), Network: network(s.get("addressfamily")),
		ConnectTimeout:  time.Duration(s.number("connecttimeout")) * time.Second,
		IdentitiesOnly:  s.yes("identitiesonly"),
		HostKeyChecking: checking(s.get("stricthostkeychecking")), HashKnownHosts: s.yes("hashknownhosts"),
		Pubkey: s.get("pubkeyauthentication") != "no" && s.get("pubkeyauthentication") != "false", Password: s.yes("passwordauthentication"),
		Interactive: s.yes("kbdinteractiveauthentication") || s.yes("challengeresponseauthentication"),
		Batch:       s.yes("batchmode"), Prompts: s.number("numberofpasswordprompts"),
		GSSAPI: s.yes("gssapiauthentication"), PKCS11: s.get("pkcs11provider"),
	}
	if err := res.check(); err != nil {
		return nil, err
	}
	x := newExpander(res)
	res.IdentityFiles = x.paths(s["identityfile"])
	res.CertificateFiles = x.paths(s["certificatefile"])
	res.KnownHosts = x.paths(strings.Fields(s.get("userknownhostsfile")))
	res.GlobalKnownHosts = x.paths(strings.Fields(s.get("globalknownhostsfile")))
	res.IdentityAgent = r.agent(x, s)
	if p := s.get("controlpath"); p != "" {
		res.ControlPath = x.path(p)
	}
	if p := s.get("proxycommand"); p != "" {
		res.ProxyCommand = x.tokens(p)
	} else if p := s.get("proxyjump"); p != "" {
		res.ProxyJump = strings.Split(p, ",")
	}
	return res, nil
}

// check refuses names from a config file that the command line could not give either.
func (res *Resolved) check() error {
	if err := checkName(res.HostName); err != nil {
		return err
	}
	if err := checkUser(res.User); err != nil {
		return err
	}
	if res.Port < 1 || res.Port > 65535 {
		return api.Errorf(api.Usage, "", "host %s: port %d", res.Alias, res.Port)
	}
	return nil
}

func (r Resolver) agent(x expander, s settings) string {
	v, said := s["identityagent"]
	switch {
	case !said || v[0] == "SSH_AUTH_SOCK":
		return r.Agent
	case strings.EqualFold(v[0], "none"):
		return ""
	case strings.HasPrefix(v[0], "$"):
		return os.Getenv(strings.Trim(v[0], "${}"))
	}
	return x.path(v[0])
}

func network(family string) string {
	switch family {
	case "inet":
		return "tcp4"
	case "inet6":
		return "tcp6"
	}
	return "tcp"
}

func checking(v string) string {
	switch v = strings.ToLower(v); v {
	case "true", "yes":
		return "yes"
	case "false", "no", "off":
		return "no"
	case "accept-new":
		return v
	}
	return "ask"
}

// home is the directory that ssh takes for ~: the password database's, not $HOME.
func home() string {
	if u, err := user.LookupId(strconv.Itoa(os.Getuid())); err == nil && u.HomeDir != "" {
		return u.HomeDir
	}
	dir, err := os.UserHomeDir()
	if err != nil {
		return "/"
	}
	return dir
}
