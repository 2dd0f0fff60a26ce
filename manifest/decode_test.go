package manifest_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// samples returns the documents of every released version that begin with a word; they stay for ever.
func samples(t testing.TB, word string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", word+"-v*.json"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	all := map[string][]byte{}
	for _, name := range names {
		if all[name], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestManifestsOfEveryVersionAreRead(t *testing.T) {
	t.Parallel()
	for name, data := range samples(t, "manifest") {
		m, err := manifest.DecodeManifest(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		sameJSON(t, name, data, m)
	}
}

func TestJobsOfEveryVersionAreRead(t *testing.T) {
	t.Parallel()
	for name, data := range samples(t, "job") {
		j, err := manifest.DecodeJob(data)
		if err == nil {
			err = j.Validate()
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		sameJSON(t, name, data, j)
	}
}

// sameJSON makes sure that nothing of data was lost or renamed in v.
func sameJSON(t *testing.T, name string, data []byte, v any) {
	t.Helper()
	written, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var want, got any
	if err := errors.Join(json.Unmarshal(data, &want), json.Unmarshal(written, &got)); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s is written as\n%s", name, written)
	}
}

func TestOtherVersionsAreRefusedWithBothNumbers(t *testing.T) {
	t.Parallel()
	asManifest := func(data []byte) error { _, err := manifest.DecodeManifest(data); return err }
	asJob := func(data []byte) error { _, err := manifest.DecodeJob(data); return err }
	for _, c := range []struct {
		file   string
		decode func([]byte) error
		names  string
	}{{"manifest-v2.json", asManifest, "manifest of version 2"}, {"job-v2.json", asJob, "job of version 2"}} {
		data, err := os.ReadFile(filepath.Join("testdata", "future", c.file))
		if err != nil {
			t.Fatal(err)
		}
		err = c.decode(data)
		var v *manifest.VersionError
		if !errors.As(err, &v) || v.Have != 2 || !strings.Contains(err.Error(), c.names) || !strings.Contains(err.Error(), "up to version 1") {
			t.Errorf("%s: %v", c.file, err)
		}
	}
	for _, version := range []string{"0", "-1"} {
		var v *manifest.VersionError
		if err := asManifest([]byte(`{"schemaVersion": ` + version + `}`)); !errors.As(err, &v) || !strings.Contains(err.Error(), version) {
			t.Errorf("version %s: %v", version, err)
		}
	}
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	t.Parallel()
	m, err := manifest.DecodeManifest([]byte(`{"schemaVersion": 1, "job": "x", "colour": {"of": "later"}}`))
	if err != nil || m.Job != "x" {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestHugeDocumentsAreRefused(t *testing.T) {
	t.Parallel()
	data := append([]byte(`{"schemaVersion": 1}`), make([]byte, manifest.MaxDocumentSize)...)
	for i := range data[20:] {
		data[20+i] = ' '
	}
	if _, err := manifest.DecodeJob(data); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Error(err)
	}
}

func FuzzDecodeManifest(f *testing.F) {
	// Small ones: a fuzzer that is given large ones spends its time on making them smaller.
	f.Add([]byte(`{"schemaVersion": 1, "state": "lost", "steps": [{"argv": ["a"], "started": "2026-11-21T09:30:00Z"}]}`))
	f.Add([]byte(`{"schemaVersion": 1, "input": {"git": {"dirty": true, "changed": ["a", "b/"], "changedCount": 3}}}`))
	f.Add([]byte(`{"schemaVersion": 1, "exitCode": 0, "artifacts": [{"name": "a", "size": 1, "fresh": true}], "extra": {"a": [1]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := manifest.DecodeManifest(data)
		if err != nil {
			return
		}
		written, err := json.Marshal(m)
		if err != nil {
			return // a time beyond the year 9999 can be read, not written
		}
		if _, err := manifest.DecodeManifest(written); err != nil {
			t.Errorf("what was read is written as\n%s\nand not read: %v", written, err)
		}
	})
}

func FuzzDecodeJob(f *testing.F) {
	f.Add([]byte(`{"schemaVersion": 1, "id": "kx3b7qzt5mva2c4d", "steps": [{"run": "a"}], "dir": "a/b", "workspace": {"name": "w", "mode": "kept"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		j, err := manifest.DecodeJob(data)
		if err != nil || j.Validate() != nil {
			return
		}
		if !filepath.IsLocal(filepath.Join("workspaces", j.Workspace.Name)) || j.Dir != "" && !filepath.IsLocal(j.Dir) {
			t.Errorf("a valid job leaves its workspace: %q, %q", j.Workspace.Name, j.Dir)
		}
	})
}
