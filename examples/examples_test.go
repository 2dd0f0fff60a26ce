// Package examples_test runs every example through Cyclops, as a user would.
package examples_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// user is somebody with a home of their own, a copy of an example and the program.
type user struct {
	t       *testing.T
	program string
	root    string
	env     []string
}

// TestBrontes takes the example through simulation, synthesis, routing and packing; then breaks
// the design, and nothing of the earlier build may come back as if it were of this one.
func TestBrontes(t *testing.T) {
	t.Parallel()
	needs(t, "git", "iverilog", "yosys", "nextpnr-ice40", "icepack", "icetime")
	u := newUser(t, "brontes")

	log := u.must("run", "build")
	for _, want := range []string{"PASS after", "Max frequency for clock", "PASSED."} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %q", want)
		}
	}
	if bitstream := u.read("build/brontes.bin"); !bytes.Contains(bitstream[:64], []byte{0x7e, 0xaa, 0x99, 0x7e}) {
		t.Errorf("build/brontes.bin is no bitstream: it begins % x", bitstream[:64])
	}
	if report := u.read("build/timing.rpt"); !bytes.Contains(report, []byte("Total path delay")) {
		t.Error("build/timing.rpt is no timing report")
	}
	if _, err := os.Stat(filepath.Join(u.root, "build/brontes.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the netlist, which is to stay on the host, came back (%v)", err)
	}
	u.checkRecord()

	u.edit("rtl/brontes_uart.v", "tx_left <= 10", "tx_left <= 9")
	if code, log := u.run("run", "build"); code != 1 || !strings.Contains(log, "FAIL at") {
		t.Fatalf("a broken design ended with %d:\n%s", code, log)
	}
	for _, a := range u.record().Artifacts {
		if a.Name == "build/brontes.bin" && (a.Fresh || a.Fetch) {
			t.Errorf("last run's bitstream counts as this one's: %+v", a)
		}
	}
}

// checkRecord compares the manifest with the files that came back.
func (u *user) checkRecord() {
	u.t.Helper()
	m := u.record()
	steps := ""
	for _, s := range m.Steps {
		steps += s.Name + " "
		if s.ExitCode == nil || *s.ExitCode != 0 {
			u.t.Errorf("step %s: exit code %v", s.Name, s.ExitCode)
		}
	}
	if steps != "simulate synth route pack timing " {
		u.t.Errorf("the manifest has the steps %q", steps)
	}
	found := map[string]bool{}
	for _, a := range m.Artifacts {
		found[a.Name] = true
		if a.Fetch && a.Digest != manifest.SumOf(u.read(a.Name)).Digest() {
			u.t.Errorf("%s here is not what the manifest says", a.Name)
		}
		if a.Fetch && !a.Fresh {
			u.t.Errorf("%s is not fresh", a.Name)
		}
	}
	for _, want := range []string{"build/brontes.bin", "build/timing.rpt", "build/utilisation.rpt", "build/synth.log", "build/brontes.json"} {
		if !found[want] {
			u.t.Errorf("the manifest lacks %s", want)
		}
	}
}

func newUser(t *testing.T, example string) *user {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("host local is Linux")
	}
	dir := t.TempDir()
	u := &user{t: t, program: filepath.Join(dir, "cyclops"), root: filepath.Join(dir, example)}
	command(t, "..", "go", "build", "-o", u.program, "./cli/cyclops")
	if err := os.CopyFS(u.root, os.DirFS(example)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(u.root, "build")); err != nil {
		t.Fatal(err)
	}
	command(t, u.root, "git", "init", "-q")
	u.env = append(os.Environ(), "HOME="+dir, "CYCLOPS_DATA="+filepath.Join(dir, "data"), "CYCLOPS_HOST=",
		"XDG_CONFIG_HOME="+filepath.Join(dir, "config"), "XDG_STATE_HOME="+filepath.Join(dir, "state"),
		"XDG_CACHE_HOME="+filepath.Join(dir, "cache"), "XDG_RUNTIME_DIR=")
	t.Cleanup(func() { u.must("executor", "stop") })
	return u
}

// run returns the exit code and all that was printed.
func (u *user) run(args ...string) (int, string) {
	u.t.Helper()
	cmd := exec.Command(u.program, args...)
	cmd.Dir, cmd.Env = u.root, u.env
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		u.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func (u *user) must(args ...string) string {
	u.t.Helper()
	code, out := u.run(args...)
	if code != 0 {
		u.t.Fatalf("cyclops %s ended with %d:\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// record is the manifest of the latest job.
func (u *user) record() *manifest.Manifest {
	u.t.Helper()
	m, err := manifest.DecodeManifest([]byte(u.must("manifest", "show", "--json", "@1")))
	if err != nil {
		u.t.Fatal(err)
	}
	return m
}

func (u *user) read(name string) []byte {
	u.t.Helper()
	data, err := os.ReadFile(filepath.Join(u.root, name))
	if err != nil {
		u.t.Fatal(err)
	}
	return data
}

func (u *user) edit(name, from, to string) {
	u.t.Helper()
	before := u.read(name)
	after := bytes.ReplaceAll(before, []byte(from), []byte(to))
	if bytes.Equal(before, after) {
		u.t.Fatalf("%s holds no %q", name, from)
	}
	if err := os.WriteFile(filepath.Join(u.root, name), after, 0o644); err != nil {
		u.t.Fatal(err)
	}
}

// needs skips the test where a tool is missing, but not in CI, which installs them.
func needs(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			missing := fmt.Sprintf("%v; make test installs it", err)
			if os.Getenv("CI") != "" {
				t.Fatal(missing)
			}
			t.Skip(missing)
		}
	}
}

func command(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
