package manifest_test

import (
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/manifest"
)

func job() manifest.Job {
	return manifest.Job{
		ID:        manifest.NewID(),
		Steps:     []manifest.Step{{Argv: []string{"true"}}},
		Workspace: manifest.Workspace{Name: "blinky-1f2e3d4c", Mode: manifest.Kept},
	}
}

func TestImpossibleJobsAreRefused(t *testing.T) {
	t.Parallel()
	if j := job(); j.Validate() != nil {
		t.Fatal(j.Validate())
	}
	for what, spoil := range map[string]func(*manifest.Job){
		"short id":           func(j *manifest.Job) { j.ID = "abc" },
		"id as a path":       func(j *manifest.Job) { j.ID = "../../../../../x" },
		"no steps":           func(j *manifest.Job) { j.Steps = nil },
		"empty step":         func(j *manifest.Job) { j.Steps = []manifest.Step{{Name: "x"}} },
		"argv and run":       func(j *manifest.Job) { j.Steps[0].Run = "true" },
		"no workspace":       func(j *manifest.Job) { j.Workspace.Name = "" },
		"workspace above":    func(j *manifest.Job) { j.Workspace.Name = ".." },
		"workspace as path":  func(j *manifest.Job) { j.Workspace.Name = "a/b" },
		"workspace as flag":  func(j *manifest.Job) { j.Workspace.Name = "-rf" },
		"long workspace":     func(j *manifest.Job) { j.Workspace.Name = strings.Repeat("x", 121) },
		"unknown mode":       func(j *manifest.Job) { j.Workspace.Mode = "shared" },
		"directory above":    func(j *manifest.Job) { j.Dir = "../x" },
		"absolute directory": func(j *manifest.Job) { j.Dir = "/etc" },
		"unclean directory":  func(j *manifest.Job) { j.Dir = "a/./b" },
		"variable with =":    func(j *manifest.Job) { j.Env = []manifest.Variable{{Name: "A=B"}} },
		"variable with NUL":  func(j *manifest.Job) { j.Env = []manifest.Variable{{Name: "A\x00"}} },
		"nameless variable":  func(j *manifest.Job) { j.Env = []manifest.Variable{{}} },
	} {
		j := job()
		spoil(&j)
		if j.Validate() == nil {
			t.Errorf("%s: %+v", what, j)
		}
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		id := manifest.NewID()
		if !manifest.ValidID(id) || seen[id] {
			t.Fatalf("%q", id)
		}
		seen[id] = true
	}
	for _, bad := range []string{"", "abcdefghijklmnop1", "ABCDEFGHIJKLMNOP", "abcdefghijklmno0", "abcdefghijklmno/"} {
		if manifest.ValidID(bad) {
			t.Errorf("%q passes for an id", bad)
		}
	}
	if !manifest.ValidIDPrefix("a") || manifest.ValidIDPrefix("A") || manifest.ValidIDPrefix("") {
		t.Error("prefixes are judged wrong")
	}
}

func TestDigestsAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	sum := manifest.SumOf([]byte("x"))
	if got, err := sum.Digest().Sum(); err != nil || got != sum {
		t.Errorf("%v, %v", got, err)
	}
	good := string(sum.Digest())
	for _, bad := range []string{"", "sha256:", good[:70], good + "0", strings.ToUpper(good), "sha512:" + good[7:], good[:70] + "g"} {
		if got, err := manifest.Digest(bad).Sum(); err == nil {
			t.Errorf("%q reads as %v", bad, got)
		}
	}
	if d := sum.Digest(); d.Short() != sum.String()[:12] {
		t.Errorf("%q is short for %q", d.Short(), d)
	}
}
