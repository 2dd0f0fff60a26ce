package hostconfig

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

func load(t *testing.T, text string) (Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path)
}

func TestAbsentFileMeansDefaults(t *testing.T) {
	t.Parallel()
	c, err := Load(filepath.Join(t.TempDir(), "config.toml"))
	if err != nil || c.Slots < 2 || c.Resources[Cores] < 1 || len(c.Tools) != 0 {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestEveryKeyIsRead(t *testing.T) {
	t.Parallel()
	c, err := load(t, "slots = 3\n[resources]\ncores = 5\n\"licence.vivado\" = 2\n[tools.vivado-2025_1]\nsetup = 'source x.sh'\n[retention]\nage = '30d'\nsize = '200 GiB'\n")
	if err != nil {
		t.Fatal(err)
	}
	if c.Slots != 3 || c.Resources[Cores] != 5 || c.Resources["licence.vivado"] != 2 || c.Tools["vivado-2025_1"].Setup != "source x.sh" {
		t.Errorf("got %+v", c)
	}
	if c.Retention.Age.Duration != 30*24*time.Hour || c.Retention.Size != 200<<30 {
		t.Errorf("got %+v", c.Retention)
	}
	if names := c.ToolNames(); len(names) != 1 || names[0] != "vivado-2025_1" {
		t.Errorf("tools %v", names)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"slot = 3\n":                        `config.toml:1: unknown key "slot"`,
		"slots = -1\n":                      "slots = -1",
		"[resources]\nboard = -2\n":         "resource board = -2",
		"[resources]\n'a b' = 2\n":          `resource "a b"`,
		"[tools.'a/b']\nsetup = 'x'\n":      `tool "a/b"`,
		"[tools.a]\nsetup = 'x'\nenv = 1\n": "unknown key",
		"slots = \n":                        "config.toml:1",
		"[retention]\nage = '0d'\n":         `"0d" is no time`,
		"[retention]\nage = 30\n":           `"30" is no time`,
		"[retention]\nsize = 'lots'\n":      `"lots" is not a size such as 64MiB`,
		"[retention]\nages = '1d'\n":        `config.toml:2: unknown key "retention.ages"`,
		"[limits]\nprocesses = 3\n":         "limits.processes = 3 is less than 16",
		"[limits]\nmemory = '1 KiB'\n":      "limits.memory",
		"[limits]\nlog = '0'\n":             "without the key there is no limit",
		"[limits]\noutput = 'much'\n":       `"much" is not a size such as 64MiB`,
		"[limits]\ndisk = '1 GiB'\n":        `unknown key "limits.disk"`,
	} {
		_, err := load(t, text)
		var e *api.Error
		if !errors.As(err, &e) || e.Kind != api.Usage || !strings.Contains(e.Message, want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	_, err := load(t, "slot = 3\n")
	var e *api.Error
	if errors.As(err, &e); e == nil || !strings.Contains(e.Hint, "slots") {
		t.Errorf("the hint does not name the nearest key: %+v", e)
	}
}

func TestLimitsAreRead(t *testing.T) {
	t.Parallel()
	c, err := load(t, "[limits]\nprocesses = 100\nmemory = '2 GiB'\nlog = '1 GB'\noutput = '64MiB'\n")
	if err != nil {
		t.Fatal(err)
	}
	if l := c.Limits; *l.Processes != 100 || *l.Memory != 2<<30 || *l.Log != 1e9 || *l.Output != 64<<20 {
		t.Errorf("got %+v", l)
	}
}

func TestProcessesAreBoundedByDefault(t *testing.T) {
	t.Parallel()
	c, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	if n := *c.Limits.Processes; n < fewestByDefault || n > mostByDefault {
		t.Errorf("a job may have %d processes", n)
	}
	if c.Limits.Memory != nil || c.Limits.Log != nil || c.Limits.Output != nil {
		t.Errorf("got %+v", c.Limits)
	}
	if few := defaultProcesses(1 << 20); few != fewestByDefault {
		t.Errorf("of very many jobs each may have %d processes", few)
	}
}
