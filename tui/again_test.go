package tui

import (
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
			Outputs: manifest.Outputs{Fetch: []string{"*.bit"}}, Input: manifest.Input{Snapshot: "sha256:0"}, Workspace: manifest.Workspace{Mode: manifest.Isolated},
			Steps: one(manifest.StepOf([]string{"make", "bit"})),
		}, "cyclops run -H lab --name soc --tool vivado-2025.1 --need licence=1 --need ram=8 --env TOKEN --output '*.bit' --timeout 1h30m0s --isolated -- make bit"},
	} {
		if got := againText(r, Record{Spec: c.spec}); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}
