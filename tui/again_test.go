package tui

import (
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/manifest"
)

func TestACopiedCommandAsksForTheSame(t *testing.T) {
	t.Parallel()
	r := &row{host: "lab"}
	r.Name, r.Command = "build", "make all"
	one := func(s manifest.Step) []manifest.Step { return []manifest.Step{s} }
	for _, c := range []struct {
		spec *manifest.Job
		want string
	}{
		{nil, "cyclops run -H lab -c 'make all'"},
		{&manifest.Job{Name: "soc", Steps: []manifest.Step{{Name: "a", Run: "x"}, {Name: "b", Run: "y"}}}, "cyclops run -H lab soc"},
		{&manifest.Job{Steps: one(manifest.Step{Run: "make a; make b"})}, "cyclops run -H lab --bare -c 'make a; make b'"},
		{&manifest.Job{
			Name: "soc", Tools: []string{"vivado-2025.1"}, Needs: map[string]int{"ram": 8, "licence": 1}, TimeoutSecs: 5400,
			Env:     []manifest.Variable{{Name: "TOKEN", Value: "secret"}, {Name: "PART", Value: "xc7", Public: true}},
			Outputs: manifest.Outputs{Fetch: []string{"*.bit"}}, Input: manifest.Input{Snapshot: "sha256:0"}, Workspace: manifest.Workspace{Mode: manifest.Isolated}, SamePath: &manifest.SamePath{Root: "/soc"},
			Steps: one(manifest.StepOf([]string{"make", "bit"})),
		}, "cyclops run -H lab --name soc --tool vivado-2025.1 --need licence=1 --need ram=8 --env TOKEN --output '*.bit' --timeout 1h30m0s --isolated -- make bit"},
		{&manifest.Job{
			Labels: map[string]string{"seed": "7", "board": "u 250"}, GraceSecs: 30, Priority: manifest.Low, After: []string{"rrrrrrrrrrrrrrrr"},
			Input: manifest.Input{Snapshot: "sha256:0"}, Workspace: manifest.Workspace{Name: "nightly", Mode: manifest.Concurrent}, Dir: "rtl", Home: manifest.PrivateHome, SetUID: true,
			Steps: one(manifest.StepOf([]string{"make"})),
		}, "cyclops run -H lab --label 'board=u 250' --label seed=7 --grace 30s --priority low --after rrrrrrrrrrrrrrrr --concurrent --workspace nightly -C rtl --home private --setuid --same-path off -- make"},
		{&manifest.Job{
			Input: manifest.Input{Snapshot: "sha256:0"}, Workspace: manifest.Workspace{Name: "blinky-0a1b2c3d", Mode: manifest.Kept}, SamePath: &manifest.SamePath{Root: "/soc", Require: true},
			Steps: one(manifest.StepOf([]string{"make"})),
		}, "cyclops run -H lab --same-path require -- make"},
	} {
		if got := againText(r, Record{Spec: c.spec}); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// A command that lacks what its job was asked with is not passed off as the same.
func TestACommandWithoutItsFlagsIsSaidToBe(t *testing.T) {
	t.Parallel()
	m, f := running(t)
	f.away = true
	press(m, "Y")
	if s := screen(m); !strings.Contains(s, "without its flags: no route to lab") || !m.notices[0].bad {
		t.Errorf("got\n%s", s)
	}
}
