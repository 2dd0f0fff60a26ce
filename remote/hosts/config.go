// Package hosts reads the user's config, turns the name of a host into a destination, and resolves
// that destination the way OpenSSH does.
package hosts

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/human"
	"github.com/cyclops-fpga/cyclops/manifest/strict"
	"github.com/cyclops-fpga/cyclops/remote/place"
)

// Local is the name of this machine as a host.
const Local = "local"

// DefaultLinkIdle is how long a link stays without work when the config does not say.
const DefaultLinkIdle = 10 * time.Minute

// DefaultFetchLimit is how many bytes of undeclared outputs come back by themselves.
const DefaultFetchLimit = 64 << 20

// Config is the user's config.toml.
type Config struct {
	Default    string           `toml:"host"`
	LinkIdle   *Duration        `toml:"link_idle"`
	FetchLimit *human.Bytes     `toml:"fetch_limit"`
	Patience   *Patience        `toml:"patience"`    // without contact; nil: as the command chooses
	DetachKeys *string          `toml:"detach_keys"` // nil: the usual ones; empty: none
	Hosts      map[string]Entry `toml:"hosts"`
}

// Entry is one [hosts.NAME] of the config.
type Entry struct {
	Address  string    `toml:"address"`   // [user@]host[:port] or an alias of ssh_config; empty: NAME
	Data     string    `toml:"data"`      // the executor's data directory there; empty: ~/.cyclops
	Executor string    `toml:"executor"`  // path of an executor that install does not look after
	LinkIdle *Duration `toml:"link_idle"` // overrides the one for all hosts
}

// Host is a destination: where a job can be sent.
type Host struct {
	Name       string        `json:"name"` // as the user typed it
	User       string        `json:"user,omitempty"`
	Address    string        `json:"address"`        // host name or alias of ssh_config
	Port       int           `json:"port,omitempty"` // 0: as ssh_config says
	Data       string        `json:"data,omitempty"`
	Executor   string        `json:"executor,omitempty"`
	LinkIdle   time.Duration `json:"linkIdle"`
	Configured bool          `json:"configured"` // named in the user's own config
}

// IsLocal tells whether the host is this machine.
func (h Host) IsLocal() bool { return h.Name == Local }

// Load reads the config in dirs. An absent file is an empty config.
func Load(dirs place.Dirs) (*Config, error) {
	path := filepath.Join(dirs.Config, "config.toml")
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return new(Config), nil
	}
	if err != nil {
		return nil, api.Errorf(api.Usage, "", "unable to read config: %w", err)
	}
	return Parse(path, data)
}

// Parse reads a config; path is its name in errors.
func Parse(path string, data []byte) (*Config, error) {
	c := new(Config)
	if err := strict.Decode(path, data, c); err != nil {
		return nil, wrong(err)
	}
	for name, e := range c.Hosts {
		if err := checkEntry(name, e); err != nil {
			return nil, api.Errorf(api.Usage, err.Hint, "unable to read %s: %w", path, err)
		}
	}
	if c.Default != "" {
		if _, err := c.Find(c.Default); err != nil {
			return nil, api.Errorf(api.Usage, "", "unable to read %s: %w", path, err)
		}
	}
	return c, nil
}

// wrong is a mistake in the config with its hint.
func wrong(err error) error {
	hint := ""
	var e *strict.Error
	if errors.As(err, &e) {
		hint = e.Hint()
	}
	return api.Errorf(api.Usage, hint, "unable to read %w", err)
}

func checkEntry(name string, e Entry) *api.Error {
	if name == Local && (e.Address != "" || e.Executor != "") {
		return api.Errorf(api.Usage, "give the host another name", "the host %s is this machine and has no address", Local)
	}
	if err := checkName(name); err != nil {
		return err
	}
	if e.Address != "" {
		if _, err := ParseDestination(e.Address); err != nil {
			return api.Errorf(api.Usage, "", "address of host %s: %w", name, err)
		}
	}
	return checkPaths(name, e)
}

func checkPaths(name string, e Entry) *api.Error {
	for _, p := range []string{e.Data, e.Executor} {
		if p != "" && !strings.HasPrefix(p, "/") && !strings.HasPrefix(p, "~/") || strings.ContainsAny(p, "\n\r\x00") {
			return api.Errorf(api.Usage, "paths on a host begin with / or ~/", "host %s: path %q is not absolute", name, p)
		}
	}
	return nil
}

// Find turns a name into a Host: one of the config, local, or any ssh destination. The empty name
// is the config's default, else local.
func (c *Config) Find(name string) (Host, error) {
	if name == "" {
		name = c.Default
	}
	e, configured := c.Hosts[name]
	if name == "" || name == Local {
		return Host{Name: Local, Data: c.Hosts[Local].Data, Configured: true}, nil
	}
	address := e.Address
	if address == "" {
		address = name
	}
	d, err := ParseDestination(address)
	if err != nil {
		return Host{}, err
	}
	return Host{
		Name: name, User: d.User, Address: d.Host, Port: d.Port, Data: e.Data, Executor: e.Executor,
		LinkIdle: c.idle(e), Configured: configured,
	}, nil
}

func (c *Config) idle(e Entry) time.Duration {
	switch {
	case e.LinkIdle != nil:
		return time.Duration(*e.LinkIdle)
	case c.LinkIdle != nil:
		return time.Duration(*c.LinkIdle)
	}
	return DefaultLinkIdle
}

// FetchLimitBytes is how many bytes of undeclared outputs come back by themselves.
func (c *Config) FetchLimitBytes() int64 {
	if c.FetchLimit != nil {
		return int64(*c.FetchLimit)
	}
	return DefaultFetchLimit
}

// List returns the hosts of the config by name, local first.
func (c *Config) List() []Host {
	names := []string{}
	for name := range c.Hosts {
		if name != Local {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	list := make([]Host, 0, len(names)+1)
	for _, name := range append([]string{Local}, names...) {
		if h, err := c.Find(name); err == nil {
			list = append(list, h)
		}
	}
	return list
}
