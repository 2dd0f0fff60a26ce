// Package hostconfig reads what a host's owner configured: config.toml in the data directory.
package hostconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/human"
	"github.com/cyclops-fpga/cyclops/manifest/strict"
)

// Config is the host's configuration.
type Config struct {
	Slots     int             `toml:"slots"`     // jobs that run at once; 0: half the cores, at least 2
	Resources map[string]int  `toml:"resources"` // counted resources; "cores" is known without being named
	Tools     map[string]Tool `toml:"tools"`
	Limits    Limits          `toml:"limits"`
	Retention Retention       `toml:"retention"`
}

// Retention says what of ended jobs is kept. Without it everything is, until somebody removes it.
type Retention struct {
	Age  Age         `toml:"age"`  // jobs that ended longer ago are removed; 0: none
	Size human.Bytes `toml:"size"` // the oldest are removed until the rest takes no more; 0: none
}

// Age is a time as people write it: "30d". It is no number, so that a bare 30 cannot be taken for nanoseconds.
type Age struct{ time.Duration }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Age) UnmarshalText(text []byte) error {
	var err error
	a.Duration, err = human.ParseAge(string(text))
	return err
}

// Tool is a named tool environment.
type Tool struct {
	Setup string `toml:"setup"` // shell lines that a job's environment is set up with
}

// Cores is the resource that every host has.
const Cores = "cores"

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Load reads the file at path; one that is absent means the defaults.
func Load(path string) (Config, error) {
	var c Config
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("unable to read the host's configuration: %w", err)
	}
	if err := strict.Decode(path, data, &c); err != nil {
		hint := ""
		if bad, ok := errors.AsType[*strict.Error](err); ok {
			hint = bad.Hint()
		}
		return c, api.Errorf(api.Usage, hint, "unable to read the host's configuration: %w", err)
	}
	if err := c.check(); err != nil {
		return c, api.Errorf(api.Usage, "", "unable to read the host's configuration: %s: %w", path, err)
	}
	c.fill()
	return c, nil
}

func (c *Config) check() error {
	if c.Slots < 0 {
		return fmt.Errorf("slots = %d is less than 0", c.Slots)
	}
	if err := c.Limits.check(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Resources)) {
		if !validName.MatchString(name) {
			return fmt.Errorf("resource %q may hold only letters, digits, '.', '_' and '-'", name)
		}
		if c.Resources[name] < 0 {
			return fmt.Errorf("resource %s = %d is less than 0", name, c.Resources[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Tools)) {
		if !validName.MatchString(name) {
			return fmt.Errorf("tool %q may hold only letters, digits, '.', '_' and '-'", name)
		}
	}
	return nil
}

func (c *Config) fill() {
	if c.Slots == 0 {
		c.Slots = max(2, runtime.NumCPU()/2)
	}
	if c.Limits.Processes == nil {
		n := defaultProcesses(c.Slots)
		c.Limits.Processes = &n
	}
	if c.Resources == nil {
		c.Resources = map[string]int{}
	}
	if _, ok := c.Resources[Cores]; !ok {
		c.Resources[Cores] = runtime.NumCPU()
	}
}

// ToolNames lists the tool environments by name.
func (c *Config) ToolNames() []string {
	names := slices.AppendSeq(make([]string, 0, len(c.Tools)), maps.Keys(c.Tools))
	slices.Sort(names)
	return names
}
