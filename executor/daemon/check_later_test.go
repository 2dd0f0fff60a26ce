//go:build linux

package daemon_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// edit changes the row of a job.
func edit(t *testing.T, d layout.Data, id string, change func(s *store.Store, j store.Job) error) {
	t.Helper()
	s, err := store.Open(t.Context(), d.Database())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	j, err := s.Get(t.Context(), id)
	if err == nil {
		err = change(s, j)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What a later executor wrote was taken for damaged, and check --repair set it aside.
func TestCheckLeavesAManifestOfALaterVersion(t *testing.T) {
	t.Parallel()
	k := keepJobs(t)
	path := k.data.Manifest(k.jobs[1])
	now, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	field := `"schemaVersion": %d`
	if !bytes.Contains(now, fmt.Appendf(nil, field, manifest.Version)) {
		field = `"schemaVersion":%d`
	}
	later := bytes.Replace(now, fmt.Appendf(nil, field, manifest.Version), fmt.Appendf(nil, field, 99), 1)
	if bytes.Equal(later, now) {
		t.Fatalf("the manifest begins %.80q", now)
	}
	spoil(t, path, later, func(b []byte) []byte { return b })
	edit(t, k.data, k.jobs[1], func(s *store.Store, j store.Job) error {
		j.Record = manifest.SumOf(later)
		return s.SetRecord(t.Context(), j)
	})
	r, _ := checkIt(t, k.data, "--repair")
	stop(t, k.data)
	if len(r.Findings) != 1 || r.Findings[0].Kind != "version" {
		t.Errorf("check found %+v", r.Findings)
	}
	if kept, err := os.ReadFile(path); err != nil || !bytes.Equal(kept, later) {
		t.Errorf("it is another now: %v", err)
	}
}

// A job whose manifest could not be read for a while is called lost; check --repair then took the
// manifest, which tells how it ended, for damaged. So it did with one that the executor of that time noted the digest
// of and could not read, as it was of a later version.
func TestCheckBelievesTheManifestOfAJobCalledLost(t *testing.T) {
	t.Parallel()
	k := keepJobs(t)
	path := k.data.Manifest(k.jobs[1])
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range []manifest.Sum{{}, manifest.SumOf(before)} {
		edit(t, k.data, k.jobs[1], func(s *store.Store, j store.Job) error {
			j.State, j.ExitCode, j.Reason, j.Record = manifest.Lost, nil, "its manifest cannot be read", record
			return s.End(t.Context(), j)
		})
		r, code := checkIt(t, k.data, "--repair")
		stop(t, k.data)
		if len(r.Findings) != 1 || r.Findings[0].Kind != "job" || r.Findings[0].Done == "" || code != 0 {
			t.Errorf("check found %+v, exit code %d", r.Findings, code)
		}
		if kept, err := os.ReadFile(path); err != nil || !bytes.Equal(kept, before) {
			t.Errorf("it is another now: %v", err)
		}
		edit(t, k.data, k.jobs[1], func(_ *store.Store, j store.Job) error {
			if j.State != manifest.Failed || j.ExitCode == nil || *j.ExitCode != 1 || j.Reason == "its manifest cannot be read" {
				t.Errorf("the row says %+v", j)
			}
			return nil
		})
		if r, _ := checkIt(t, k.data); len(r.Findings) != 0 {
			t.Errorf("afterwards: %+v", r.Findings)
		}
	}
}

// A byte of a log's index that changes into a later version's number is damage: the record has
// another digest of it. check --repair ended with an error.
func TestAnIndexThatSeemsOfALaterVersionIsMended(t *testing.T) {
	t.Parallel()
	k := keepJobs(t)
	path := k.data.LogIndex(k.jobs[1])
	now, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	version := bytes.IndexByte(now, 1)
	spoil(t, path, now, func(b []byte) []byte { b[version] = 2; return b })
	r, _ := checkIt(t, k.data, "--repair")
	if len(r.Findings) == 0 || r.Findings[0].Kind != "log" || r.Findings[0].Done == "" {
		t.Errorf("check found %+v", r.Findings)
	}
	r, _ = checkIt(t, k.data)
	stop(t, k.data)
	if len(r.Findings) != 0 {
		t.Errorf("it is not mended: %+v", r.Findings)
	}
}
