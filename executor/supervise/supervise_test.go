//go:build linux

package supervise

import (
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

func TestStreamsAndExitCodes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, c := range []struct {
		name     string
		job      func(*manifest.Job)
		state    manifest.State
		code     int
		out, err string
	}{
		{"true", argv("true"), manifest.Succeeded, 0, "", ""},
		{"false", argv("false"), manifest.Failed, 1, "", ""},
		{"both streams", sh("echo out; echo err >&2; exit 7"), manifest.Failed, 7, "out\n", "err\n"},
		{"exit 255", sh("exit 255"), manifest.Failed, 255, "", ""},
		{"not found", argv("no-such-tool-here", "x"), manifest.Failed, 127, "", "cyclops: no-such-tool-here: command not found\n"},
		{"no such file", argv("./nothing"), manifest.Failed, 127, "", "cyclops: ./nothing: no such file\n"},
		{"empty name", argv(""), manifest.Failed, 127, "", "cyclops: '': command not found\n"},
		{"a directory", argv("/"), manifest.Failed, 126, "", "cyclops: /: is a directory\n"},
		{"not executable", argv("/etc/passwd"), manifest.Failed, 126, "", "cyclops: /etc/passwd: permission denied\n"},
		{"no shell", argv("printf", `%s|`, "a b", "$HOME", "*", "", "ü\x01\"'\\\n"), manifest.Succeeded, 0, "a b|$HOME|*||ü\x01\"'\\\n|", ""},
		{"empty input", argv("cat"), manifest.Succeeded, 0, "", ""},
		{"a pipe that breaks", sh("yes | head -n 1"), manifest.Succeeded, 0, "y\n", ""},
		{"no newline", argv("printf", "x"), manifest.Succeeded, 0, "x", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := &bench{t: t, data: b.data, self: b.self}
			j, m := b.run(c.job)
			wantExit(t, m, c.state, c.code)
			if out, err := j.text(api.Stdout), j.text(api.Stderr); out != c.out || err != c.err {
				t.Errorf("stdout %q and stderr %q, want %q and %q", out, err, c.out, c.err)
			}
			if left := j.left(); len(left) > 0 {
				t.Errorf("processes %v are left", left)
			}
		})
	}
}

func TestStepsStopAtTheFirstFailure(t *testing.T) {
	t.Parallel()
	j, m := newBench(t).run(func(j *manifest.Job) {
		j.Steps = []manifest.Step{{Name: "one", Run: "echo 1"}, {Name: "two", Run: "echo 2; exit 3"}, {Name: "three", Run: "echo 3"}}
	})
	wantExit(t, m, manifest.Failed, 3)
	if got := j.text(0); got != "1\n2\n" {
		t.Errorf("log is %q", got)
	}
	if m.Steps[0].ExitCode == nil || *m.Steps[0].ExitCode != 0 || m.Steps[1].Ended == nil || m.Steps[2].Started != nil {
		t.Errorf("steps are %+v", m.Steps)
	}
	if !strings.Contains(m.Reason, "step two") {
		t.Errorf("reason is %q", m.Reason)
	}
}
