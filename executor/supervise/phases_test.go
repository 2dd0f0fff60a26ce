//go:build linux

package supervise

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/environ"
	"github.com/cyclops-fpga/cyclops/manifest"
)

func TestCancelWhilePreparing(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(*job){
		"cancel": func(j *job) { j.cancelNow(0) },
		"signal": func(j *job) { j.w.JSON(api.FrameSignal, api.Signal{Name: "INT"}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newBench(t).make(argv("echo", "ran"))
			j.launch.Tools = []environ.Tool{{Name: "slow", Setup: "sleep 1000"}}
			j.begin()
			j.await("it was preparing", j.phase(api.PhasePreparing))
			ask(j)
			m := j.end()
			if m.State != manifest.Cancelled || m.ExitCode != nil || m.Steps[0].Started != nil || j.text(0) != "" {
				t.Errorf("%s, steps %+v, log %q", m.State, m.Steps, j.text(0))
			}
			assertNothingLeft(t, j)
		})
	}
}

func TestEnvironmentOfAJob(t *testing.T) {
	t.Parallel()
	j := newBench(t).make(argv("env"), func(j *manifest.Job) {
		j.Env = []manifest.Variable{{Name: "A", Value: "job"}, {Name: "SECRET", Value: "s3cret"}, {Name: "OPEN", Value: "x", Public: true}}
	})
	j.launch.SetEnviron(append(j.launch.vars(), "A=login", "ODD=\xff\n=z", "B=login"))
	j.launch.Tools = []environ.Tool{{Name: "t", Setup: "export B=tool C=\"$B-c\"; echo noise"}}
	j.begin()
	m := j.end()
	wantExit(t, m, manifest.Succeeded, 0)
	out := j.text(api.Stdout)
	for _, want := range []string{"A=job\n", "B=tool\n", "C=login-c\n", "ODD=\xff\n=z\n", Mark + "=" + j.ID + "\n", "PWD=" + m.Workspace.Path + "\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in %q", want, out)
		}
	}
	record, err := os.ReadFile(j.data.Manifest(j.ID))
	if err != nil || strings.Contains(string(record), "s3cret") || !strings.Contains(string(record), `"SECRET"`) {
		t.Errorf("manifest: %v, %s", err, record)
	}
	if len(m.Tools) != 1 || m.Environment[2].Value == nil {
		t.Errorf("tools %v, environment %v", m.Tools, m.Environment)
	}
}

func TestAToolThatCannotBeSetUp(t *testing.T) {
	t.Parallel()
	j := newBench(t).make(argv("true"))
	j.launch.Tools = []environ.Tool{{Name: "vivado", Setup: "source /no/such/settings64.sh"}}
	j.begin()
	m := j.end()
	if m.State != manifest.Failed || m.ExitCode != nil || !strings.Contains(m.Reason, "vivado") || !strings.Contains(m.Reason, "settings64.sh") {
		t.Errorf("%s: %s", m.State, m.Reason)
	}
}

func TestDirectoryOfAJob(t *testing.T) {
	t.Parallel()
	j, m := newBench(t).run(sh("pwd; echo $PWD"), func(j *manifest.Job) { j.Dir = "a/b" })
	want := filepath.Join(m.Workspace.Path, "a/b")
	if j.text(0) != want+"\n"+want+"\n" {
		t.Errorf("log %q", j.text(0))
	}
}

func TestADirectoryThatLeavesTheWorkspace(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	kept := func(j *manifest.Job) { j.Workspace.Mode = manifest.Kept }
	_, m := b.run(argv("ln", "-s", "/tmp", "out"), kept)
	wantExit(t, m, manifest.Succeeded, 0)
	j := b.start(argv("true"), kept, func(j *manifest.Job) { j.Dir = "out" })
	if m := j.end(); m.State != manifest.Failed || m.ExitCode != nil || !strings.Contains(m.Reason, "out") {
		t.Errorf("%s: %s", m.State, m.Reason)
	}
}

func TestALaunchThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	j := newBench(t).make(argv("true"))
	j.launch.Job = []byte(`{"schemaVersion":99}`)
	_, err := Start(t.Context(), j.launch, os.Stderr)
	if err == nil || !strings.Contains(err.Error(), "version 99") {
		t.Errorf("error is %v", err)
	}
}

func TestAScriptWithoutItsFirstLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	b := newBench(t)
	j, m := b.run(argv(file("plain", "echo $1\n"), "x y"))
	wantExit(t, m, manifest.Succeeded, 0)
	if j.text(0) != "x y\n" {
		t.Errorf("log %q", j.text(0))
	}
	_, m = b.run(argv(file("binary", "\x00\x01\x02\x03")))
	wantExit(t, m, manifest.Failed, 126)
	j, m = b.run(argv(file("lost", "#!/no/such/interpreter\n")))
	wantExit(t, m, manifest.Failed, 127)
	if !strings.Contains(j.text(0), "interpreter") {
		t.Errorf("log %q", j.text(0))
	}
}

func TestRecordCancelled(t *testing.T) {
	t.Parallel()
	j := newBench(t).make(argv("true"))
	m, err := RecordCancelled(j.launch, "taken out of the queue")
	if err != nil || m.State != manifest.Cancelled || m.Started != nil || m.Steps[0].Started != nil {
		t.Fatalf("%+v: %v", m, err)
	}
	if _, err := os.Stat(j.data.Manifest(j.ID)); err != nil {
		t.Error(err)
	}
}
