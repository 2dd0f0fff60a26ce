//go:build linux

package supervise

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/packs"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/pack"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// withInputs gives a job a snapshot of these files, packed and accepted as a client's would be.
func (j *job) withInputs(files map[string]string) {
	j.t.Helper()
	var file bytes.Buffer
	w := pack.NewWriter(&file)
	add := func(kind pack.Kind, data []byte) manifest.Sum {
		sum := manifest.SumOf(data)
		if err := w.Add(kind, sum, int64(len(data)), bytes.NewReader(data)); err != nil {
			j.t.Fatal(err)
		}
		return sum
	}
	var tree snapshot.Tree
	for name, content := range files {
		tree = append(tree, snapshot.Entry{Name: name, Kind: snapshot.File, Size: int64(len(content)), Sum: add(pack.Blob, []byte(content))})
	}
	tree.Sort()
	encoded, err := tree.Encode()
	if err != nil {
		j.t.Fatal(err)
	}
	root := add(pack.Tree, encoded)
	if _, _, err := w.Close(); err != nil {
		j.t.Fatal(err)
	}
	path := filepath.Join(j.data.Incoming(), j.ID)
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		j.t.Fatal(err)
	}
	a, err := packs.Accept(j.t.Context(), j.data, path)
	if err != nil {
		j.t.Fatal(err)
	}
	j.launch.Packs = append(j.launch.Packs, a.Sum.Digest())
	j.Input.Snapshot = root.Digest()
	j.rewrite()
}

func artifact(m *manifest.Manifest, name string) *manifest.Artifact {
	i := slices.IndexFunc(m.Artifacts, func(a manifest.Artifact) bool { return a.Name == name })
	if i < 0 {
		return nil
	}
	return &m.Artifacts[i]
}

func TestInputsBecomeOutputs(t *testing.T) {
	t.Parallel()
	j := newBench(t).make(sh("tr a-z A-Z < in.txt > out.rpt; cat in.txt"), func(j *manifest.Job) {
		j.Outputs = manifest.Outputs{Fetch: []string{"*.rpt", "*.bin"}}
	})
	j.withInputs(map[string]string{"in.txt": "some input\n", "other": "x"})
	j.begin()
	m := j.end()
	wantExit(t, m, manifest.Succeeded, 0)
	if m.Input.Files != 2 || !m.Input.Pinned || j.text(api.Stdout) != "some input\n" {
		t.Errorf("input %+v, log %q", m.Input, j.text(0))
	}
	a := artifact(m, "out.rpt")
	if a == nil || !a.Fresh || a.Kind != manifest.KindReport || a.Digest != manifest.SumOf([]byte("SOME INPUT\n")).Digest() {
		t.Fatalf("artifact %+v", a)
	}
	got, err := os.ReadFile(filepath.Join(j.data.Job(j.ID), a.Path))
	if err != nil || string(got) != "SOME INPUT\n" {
		t.Errorf("artifact holds %q: %v", got, err)
	}
	if !slices.Equal(m.Missing, []string{"*.bin"}) || artifact(m, j.ID+".log") == nil {
		t.Errorf("missing %v, artifacts %+v", m.Missing, m.Artifacts)
	}
}

func TestOutputsOfAFailedJobAreCollected(t *testing.T) {
	t.Parallel()
	_, m := newBench(t).run(sh("echo why > run.log; exit 2"))
	wantExit(t, m, manifest.Failed, 2)
	if a := artifact(m, "run.log"); a == nil || !a.Fresh {
		t.Errorf("artifacts %+v", m.Artifacts)
	}
}

func TestOutputsOfACancelledJobAreCollected(t *testing.T) {
	t.Parallel()
	j := newBench(t).start(sh("echo half > part.txt; echo up; exec sleep 1000"))
	j.await("it was up", ups(1)(j))
	j.cancelNow(0)
	m := j.end()
	if a := artifact(m, "part.txt"); m.State != manifest.Cancelled || a == nil || !a.Fresh {
		t.Errorf("%s: %s, artifacts %+v", m.State, m.Reason, m.Artifacts)
	}
}

func TestCancelWhileCollecting(t *testing.T) {
	t.Parallel()
	// Reading so large a hole takes far longer than the test has patience.
	j := newBench(t).start(sh("truncate -s 1T huge"), func(j *manifest.Job) { j.Outputs.Keep = []string{"huge"} })
	j.await("it was collecting", j.phase(api.PhaseCollecting))
	begun := time.Now()
	j.cancelNow(0)
	m := j.end()
	if m.State != manifest.Cancelled || m.ExitCode == nil || *m.ExitCode != 0 || !strings.Contains(m.Reason, "while its outputs were collected") {
		t.Errorf("%s: %s", m.State, m.Reason)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestAJobWhoseContentIsNotThere(t *testing.T) {
	t.Parallel()
	j := newBench(t).make(argv("true"))
	j.Input.Snapshot = manifest.SumOf([]byte("nowhere")).Digest()
	j.rewrite()
	j.begin()
	m := j.end()
	if m.State != manifest.Failed || m.ExitCode != nil || m.Steps[0].Started != nil || m.Reason == "" {
		t.Errorf("%s: %s", m.State, m.Reason)
	}
}
