//go:build unix

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// echoer stands for cyclops and prints its arguments, one a line.
func echoer(t *testing.T, dir string) string {
	t.Helper()
	file := filepath.Join(dir, "it's cyclops")
	if err := os.WriteFile(file, []byte("#!/bin/sh\nprintf '%s\\n' \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAShimPassesEveryWordOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := &shim{Tool: "vivado", Host: "lab", Flags: []string{"--env", "A=it's $HOME `x`\n2", "--output", "*"}, file: filepath.Join(dir, "vivado")}
	if err := s.write(echoer(t, dir)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(s.file, "a b", "$c", "", "-d")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	got, err := cmd.Output()
	want := "run\n--shim\n--concurrent\n--host\nlab\n--env\nA=it's $HOME `x`\n2\n--output\n*\n--\nvivado\na b\n$c\n\n-d\n"
	if err != nil || string(got) != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	back, err := readShim(s.file)
	if err != nil || back.Tool != "vivado" || back.Host != "lab" || !slices.Equal(back.Flags, s.Flags) {
		t.Errorf("read back: %+v, %v", back, err)
	}
	s.Flags = []string{"--isolated"}
	if err := s.write(echoer(t, dir)); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(s.file); strings.Contains(string(text), "--concurrent") {
		t.Error("an isolated one shares a workspace")
	}
}

func TestNoFileOfOthersPassesForAShim(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	real := &shim{Tool: "a", file: filepath.Join(dir, "real")}
	if err := real.write("cyclops"); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("real", link); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"empty": "", "script": "#!/bin/sh\necho\n" + shimMark + "1 {}\n", "binary": "\x7fELF\n" + shimMark, "first": shimMark + "1 {}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]bool{"real": true, "link": false, "empty": false, "script": false, "binary": false, "first": false, "none": false, ".": false} {
		file := filepath.Join(dir, name)
		if isShim(file) != want {
			t.Errorf("%s: a shim is not %v", name, want)
		}
		before, _ := os.ReadFile(file)
		if err := (&shim{Tool: "b", file: file}).write("cyclops"); (err == nil) != (want || name == "none") {
			t.Errorf("%s: written over: %v", name, err)
		}
		if after, _ := os.ReadFile(file); !want && name != "none" && string(after) != string(before) {
			t.Errorf("%s: changed", name)
		}
	}
}

func TestALaterVersionsShimIsAShim(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tool")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+shimMark+"9 in other words\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if s, err := readShim(file); err != nil || s == nil || s.Tool != "tool" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestTheLocalToolIsNoShim(t *testing.T) {
	t.Parallel()
	shims, tools := t.TempDir(), t.TempDir()
	if err := (&shim{Tool: "cc", file: filepath.Join(shims, "cc")}).write("cyclops"); err != nil {
		t.Fatal(err)
	}
	real := echoer(t, tools)
	if err := os.Rename(real, filepath.Join(tools, "cc")); err != nil {
		t.Fatal(err)
	}
	path := shims + string(filepath.ListSeparator) + tools
	if got, err := localTool("cc", path); err != nil || got != filepath.Join(tools, "cc") {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := localTool("cc", shims); err == nil {
		t.Errorf("found %q", got)
	}
	if got, err := localTool(filepath.Join(shims, "cc"), path); err == nil {
		t.Errorf("by its path: %q", got)
	}
}

func TestWhatShadowsAShim(t *testing.T) {
	t.Parallel()
	shims, first := t.TempDir(), t.TempDir()
	s := &shim{Tool: "cc", file: filepath.Join(shims, "cc")}
	if err := s.write("cyclops"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(first, "cc"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path   []string
		in     bool
		shadow string
	}{
		{[]string{first}, false, ""},
		{[]string{shims, first}, true, ""},
		{[]string{first, shims}, true, filepath.Join(first, "cc")},
	} {
		if e := s.entry(strings.Join(c.path, string(filepath.ListSeparator))); e.InPath != c.in || e.Shadowed != c.shadow {
			t.Errorf("%v: %+v", c.path, e)
		}
	}
}

func TestRemovingShims(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	app := &App{}
	put := func(tools ...string) {
		for _, tool := range tools {
			if err := (&shim{Tool: tool, file: filepath.Join(dir, tool)}).write("cyclops"); err != nil {
				t.Fatal(err)
			}
		}
	}
	left := func() (names []string) {
		list, err := app.shims(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			names = append(names, s.name())
		}
		return names
	}
	put("a", "b", "c")
	if err := app.shimRm([]string{"a", "b", "a"}, dir); err != nil || !slices.Equal(left(), []string{"c"}) {
		t.Errorf("named twice: %v, %v are left", err, left())
	}
	if err := app.shimRm([]string{"c", "d"}, dir); api.KindOf(err) != api.NotFound || !slices.Equal(left(), []string{"c"}) {
		t.Errorf("not there: %v, %v are left", err, left())
	}
}
