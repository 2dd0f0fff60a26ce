package project

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

func TestSamplesOfVersion1AreRead(t *testing.T) {
	t.Parallel()
	f, err := Load("testdata/v1-full.toml")
	if err != nil {
		t.Fatal(err)
	}
	build, test := f.Jobs["build"], f.Jobs["test"]
	switch {
	case f.Name != "blinky", f.Host != "lab", f.Env["SEED"] != "7", f.Outputs.Limit != 128<<20, len(f.Outputs.Fetch) != 2:
		t.Errorf("got %+v", f)
	case len(build.Steps) != 3, build.Steps[1].Name != "route", build.Needs["licence.nextpnr"] != 1, time.Duration(build.Timeout) != 2*time.Hour:
		t.Errorf("got job build %+v", build)
	case f.SamePath != SamePathAuto, f.Home != HomePrivate, f.SetUID, test.Home != HomeUser, test.SamePath != SamePathOff, test.SetUID == nil || !*test.SetUID:
		t.Errorf("got %+v, job test %+v", f, test)
	case test.Run != "make -C sim test", test.Tools == nil, len(test.Tools) != 0, test.Outputs.Fetch[0] != "sim/*.vcd":
		t.Errorf("got job test %+v", test)
	}
	if f, err = Load("testdata/v1-small.toml"); err != nil || f.Jobs["build"].Run != "make" {
		t.Errorf("got %+v, %v", f, err)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[jobs.build]\nrun = 'x'\ntimout = '1h'":                  "f:3: unknown key \"jobs.build.timout\"|did you mean \"timeout\"?",
		"[jobs.build]\nsteps = [\n {name='a', rnu='x'},\n]":       "f:3: unknown key \"jobs.build.rnu\"|did you mean \"run\"?",
		"[output]\nfetch = []":                                    "f:1: unknown key \"output\"|did you mean \"outputs\"?",
		"version = 2":                                             "f: version 2 is not known: this Cyclops reads version 1|docs/cyclops-toml.md lists every key",
		"[jobs.a]\ntimeout='1h'":                                  "f: jobs.a: needs either run or steps|docs/cyclops-toml.md lists every key",
		"[jobs.a]\nrun='x'\nsteps=[{run='y'}]":                    "f: jobs.a: needs either run or steps|docs/cyclops-toml.md lists every key",
		"[jobs.a]\nsteps=[{name='s',run='y'},{name='s',run='y'}]": "f: jobs.a: two steps are named \"s\"|docs/cyclops-toml.md lists every key",
		"[jobs.a]\nrun='x'\npriority='high'":                      "f: jobs.a: priority \"high\" is none of interactive, normal, low|docs/cyclops-toml.md lists every key",
		"[jobs.a]\nrun='x'\nneeds={cores=0}":                      "f: jobs.a: needs 0 of cores|docs/cyclops-toml.md lists every key",
		"same_path = 'on'":                                        "f: same_path \"on\" is none of auto, require, off|docs/cyclops-toml.md lists every key",
		"[jobs.a]\nrun='x'\nhome='mine'":                          "f: jobs.a: home \"mine\" is none of user, private|docs/cyclops-toml.md lists every key",
		"[outputs]\nfetch=['../x']":                               "f: output \"../x\" leads out of the project|docs/cyclops-toml.md lists every key",
		"[outputs]\nkeep=['/etc/passwd']":                         "f: output \"/etc/passwd\" leads out of the project|docs/cyclops-toml.md lists every key",
		"workspace = '../x'":                                      "f: workspace \"../x\" may hold only letters, digits, '.', '_' and '-'|docs/cyclops-toml.md lists every key",
		"[env]\n\"A=B\" = 'x'":                                    "f: \"A=B\" is no name of an environment variable|docs/cyclops-toml.md lists every key",
	} {
		_, err := Parse("f", []byte(text))
		var e *api.Error
		if !errors.As(err, &e) || e.Kind != api.Usage {
			t.Errorf("%q: got %v, want a usage error", text, err)
			continue
		}
		if got := e.Message + "|" + e.Hint; got != want {
			t.Errorf("%q:\n got %s\nwant %s", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	samples, err := filepath.Glob("testdata/v1-*.toml")
	if err != nil || len(samples) == 0 {
		f.Fatal("no samples", err)
	}
	for _, s := range samples {
		data, err := os.ReadFile(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("f", data)
		if err == nil {
			for name, j := range file.Jobs {
				if j.Run == "" && len(j.Steps) == 0 {
					t.Fatalf("job %q does nothing", name)
				}
			}
		}
	})
}

func TestFind(t *testing.T) {
	t.Parallel()
	tmp, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"git/.git", "git/sub/deep", "both/.git", "both/inner/.git", "both/inner/x", "plain/x"} {
		if err := os.MkdirAll(filepath.Join(tmp, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(tmp, "both", FileName), []byte("name = 'b'"), 0o644); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		"git/sub/deep": "git|sub/deep|git", "git": "git||git", "both/inner/x": "both|inner/x|b", "plain/x": "plain/x||x",
	} {
		r, err := Find(filepath.Join(tmp, dir))
		if err != nil {
			t.Errorf("%s: %v", dir, err)
			continue
		}
		rel, _ := filepath.Rel(tmp, r.Dir)
		if got := strings.Join([]string{filepath.ToSlash(rel), r.Rel, r.Name()}, "|"); got != want {
			t.Errorf("%s: got %s, want %s", dir, got, want)
		}
	}
	if _, err := Find(filepath.Join(tmp, "absent")); api.KindOf(err) != api.Usage {
		t.Errorf("absent directory: got %v", err)
	}
}
