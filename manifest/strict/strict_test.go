package strict

import (
	"errors"
	"testing"
)

type sample struct {
	Name string             `toml:"name"`
	Jobs map[string]section `toml:"jobs"`
	List []section          `toml:"list"`
}

type section struct {
	Timeout string `toml:"timeout"`
	Needs   map[string]int
}

func TestDecodeNamesLineAndNearestKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, message, nearest string
		line                 int
	}{
		{"nmae = 'x'\n", `unknown key "nmae"`, "name", 1},
		{"name = 'x'\n\n[jobs.build]\ntimout = '2h'\n", `unknown key "jobs.build.timout"`, "timeout", 4},
		{"[[list]]\ntimeot = '1'\n", `unknown key "list.timeot"`, "timeout", 2},
		{"zzzzzzzzzzz = 1\n", `unknown key "zzzzzzzzzzz"`, "", 1},
		{"[job.build]\ntimeout = '2h'\n", `unknown key "job"`, "jobs", 1},
	} {
		var s sample
		err := Decode("cyclops.toml", []byte(c.in), &s)
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("%q: got %v, want *Error", c.in, err)
		}
		if e.Message != c.message || e.Nearest != c.nearest || e.Line != c.line {
			t.Errorf("%q: got line %d %q nearest %q; want line %d %q nearest %q", c.in, e.Line, e.Message, e.Nearest, c.line, c.message, c.nearest)
		}
	}
}

func TestDecodeSaysWhereSyntaxBreaks(t *testing.T) {
	t.Parallel()
	var s sample
	var e *Error
	if err := Decode("f", []byte("name = 'x'\nname = [\n"), &s); !errors.As(err, &e) || e.Line == 0 {
		t.Errorf("got %v, want an error with a line", err)
	}
	if err := Decode("f", []byte("name = 3\n"), &s); !errors.As(err, &e) || e.Line != 1 {
		t.Errorf("got %v, want an error on line 1", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("name = 'x'\n[jobs.build]\ntimeout = '2h'\n"))
	f.Add([]byte("nmae = 1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s sample
		_ = Decode("f", data, &s)
	})
}
