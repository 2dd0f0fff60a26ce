package strict

import (
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

type document struct {
	Host  string `toml:"host"`
	Inner struct {
		Timeout string `toml:"timeout"`
	} `toml:"inner"`
	Hosts map[string]struct {
		Address string `toml:"address"`
	} `toml:"hosts"`
	Steps []struct {
		Run string `toml:"run"`
	} `toml:"steps"`
}

func TestUnknownKeyIsNamedWithLineAndNearest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, message, hint string }{
		{"hots = 'a'", "x.toml, line 1: unknown key hots", "did you mean host?"},
		{"host = 'a'\n[inner]\ntimout = '1'", "x.toml, line 3: unknown key inner.timout", "did you mean timeout?"},
		{"[hosts.lab]\nadress = 'b'", "x.toml, line 2: unknown key hosts.lab.adress", "did you mean address?"},
		{"[[steps]]\nrnu = 'b'", "x.toml, line 2: unknown key steps.rnu", "did you mean run?"},
		{"colour = 1", "x.toml, line 1: unknown key colour", ""},
		{"host = 3", "x.toml, line 1: ", ""},
		{"\nhost = 'a", "x.toml, line 2: ", ""},
	} {
		err := Decode("x.toml", []byte(c.text), new(document))
		if err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%q: %v, want %q", c.text, err, c.message)
			continue
		}
		if e := err.(*api.Error); e.Hint != c.hint || e.Kind != api.Usage {
			t.Errorf("%q: hint %q kind %d, want %q", c.text, e.Hint, e.Kind, c.hint)
		}
	}
}

func TestKnownKeysAreRead(t *testing.T) {
	t.Parallel()
	var d document
	if err := Decode("x", []byte("host='a'\n[hosts.b]\naddress='c'\n[[steps]]\nrun='x'"), &d); err != nil {
		t.Fatal(err)
	}
	if d.Host != "a" || d.Hosts["b"].Address != "c" || d.Steps[0].Run != "x" {
		t.Errorf("read %+v", d)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("host = 'a'\n[hosts.x]\naddress = 'b'"))
	f.Add([]byte("[[steps]]\nrun='x'\nrnu=1"))
	f.Fuzz(func(t *testing.T, data []byte) { _ = Decode("x", data, new(document)) })
}
