package hosts

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kevinburke/ssh_config"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// keywords are what settle looks at.
var keywords = []string{
	"HostName", "User", "Port", "HostKeyAlias", "AddressFamily", "ConnectTimeout", "IdentitiesOnly",
	"StrictHostKeyChecking", "HashKnownHosts", "PubkeyAuthentication", "PasswordAuthentication",
	"KbdInteractiveAuthentication", "ChallengeResponseAuthentication", "BatchMode", "NumberOfPasswordPrompts", "GSSAPIAuthentication", "PKCS11Provider",
	"IdentityFile", "CertificateFile", "UserKnownHostsFile", "GlobalKnownHostsFile", "IdentityAgent",
	"ControlPath", "ProxyCommand", "ProxyJump",
}

// read resolves without ssh: Match exec and canonical names are beyond it.
func (r Resolver) read(d Destination) (*Resolved, error) {
	files := []string{r.File}
	if r.File == "" {
		files = []string{filepath.Join(home(), ".ssh", "config"), "/etc/ssh/ssh_config"}
	}
	s, err := readFiles(files, d.Host)
	if err != nil {
		return nil, err
	}
	override(s, d)
	if err := s.defaults(d); err != nil {
		return nil, err
	}
	return r.settle(d, s)
}

func readFiles(files []string, host string) (settings, error) {
	s := settings{}
	for _, path := range files {
		f, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, api.Errorf(api.Usage, "", "unable to read ssh_config: %w", err)
		}
		cfg, err := ssh_config.Decode(f)
		f.Close()
		if err != nil {
			return nil, api.Errorf(api.Usage, "", "unable to read %s: %w", path, err)
		}
		if err := s.add(cfg, host); err != nil {
			return nil, api.Errorf(api.Usage, "", "unable to read %s: %w", path, err)
		}
	}
	return s, nil
}

// add takes what cfg says for host; the first file that says something about a keyword wins,
// except for those that name several files.
func (s settings) add(cfg *ssh_config.Config, host string) error {
	for _, word := range keywords {
		values, err := cfg.GetAll(host, word)
		if err != nil {
			return err
		}
		key := strings.ToLower(word)
		if len(values) == 0 || len(s[key]) > 0 && !ssh_config.SupportsMultiple(word) {
			continue
		}
		s[key] = append(s[key], values...)
	}
	return nil
}

func override(s settings, d Destination) {
	if d.User != "" {
		s["user"] = []string{d.User}
	}
	if d.Port != 0 {
		s["port"] = []string{strconv.Itoa(d.Port)}
	}
}

func (s settings) defaults(d Destination) error {
	me, err := user.Current()
	if err != nil && len(s["user"]) == 0 {
		return api.Errorf(api.Usage, "name the user: user@"+d.Host, "unable to tell who you are: %w", err)
	}
	set := func(key string, values ...string) {
		if len(s[key]) == 0 {
			s[key] = values
		}
	}
	if me != nil {
		set("user", filepath.Base(filepath.ToSlash(me.Username)))
	}
	set("hostname", d.Host)
	set("port", "22")
	set("passwordauthentication", "yes")
	set("kbdinteractiveauthentication", "yes")
	set("numberofpasswordprompts", "3")
	set("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2")
	set("globalknownhostsfile", "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2")
	set("identityfile", "~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ecdsa_sk", "~/.ssh/id_ed25519", "~/.ssh/id_ed25519_sk")
	return nil
}
