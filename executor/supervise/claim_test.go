//go:build linux

package supervise

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// refused starts a job that must not begin, and returns why it did not.
func (j *job) refused() string {
	j.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := Start(ctx, j.launch, os.Stderr); err != nil {
		return err.Error()
	}
	j.t.Fatal("it began")
	return ""
}

// A supervisor that was held up while its start was given up must not run what another runs now.
func TestAStartThatWasGivenUpNeverBegins(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ran := filepath.Join(t.TempDir(), "ran")
	j := b.make(sh("echo >> " + ran))
	if given, err := GiveUp(b.data, j.ID); !given || err != nil {
		t.Fatalf("got %t, %v", given, err)
	}
	if why := j.refused(); !strings.Contains(why, "given up") {
		t.Errorf("it says %q", why)
	}
	if j.launch.Attempt = Attempt(b.data, j.ID); j.launch.Attempt != 2 {
		t.Errorf("the next start is number %d", j.launch.Attempt)
	}
	j.begin()
	wantExit(t, j.end(), manifest.Succeeded, 0)
	late := b.make(sh("echo >> " + ran))
	late.Job, late.launch.Job = j.Job, j.launch.Job
	if why := late.refused(); !strings.Contains(why, "has ended") {
		t.Errorf("behind the end it says %q", why)
	}
	if lines, err := os.ReadFile(ran); err != nil || string(lines) != "\n" {
		t.Errorf("it ran %d times, %v", len(lines), err)
	}
}

func TestWhoHasAStart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	gate := filepath.Join(t.TempDir(), "gate")
	if err := unix.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	j := b.make(sh("cat " + gate))
	if begun, alive := Begun(b.data, j.ID); begun || alive {
		t.Error("it began before it was started")
	}
	j.begin()
	if begun, alive := Begun(b.data, j.ID); !begun || !alive {
		t.Errorf("while it runs: begun %t, alive %t", begun, alive)
	}
	if given, err := GiveUp(b.data, j.ID); given || err != nil {
		t.Errorf("the start of a job that runs is given up: %v", err)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j.end()
	if begun, alive := Begun(b.data, j.ID); !begun || alive {
		t.Errorf("afterwards: begun %t, alive %t", begun, alive)
	}
}

// A job that was removed must not come back by a supervisor that was held up.
func TestAJobThatIsGoneDoesNotBegin(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	j := b.make(argv("true"))
	if err := os.RemoveAll(b.data.Job(j.ID)); err != nil {
		t.Fatal(err)
	}
	if why := j.refused(); !strings.Contains(why, "no such file") {
		t.Errorf("it says %q", why)
	}
	if _, err := os.Lstat(b.data.Job(j.ID)); err == nil {
		t.Error("its directory is there again")
	}
}
