//go:build linux

package daemon_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// After a daemon was killed the newest jobs are in the journal alone, and SQLite takes its first
// changed byte for its end: what was committed behind it was gone without a word.
func TestAChangedByteInTheJournalLosesNoJob(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 1\n")
	var ended []string
	for i := range 3 {
		ended = append(ended, h.run(job(fmt.Sprint("exit ", i), "w")).accepted.Job.ID)
	}
	g := h.gate(job("", "w"))
	waiting := h.submit(job("true", "w"), nil).accepted.Job.ID
	h.call("POST", api.PathDrain, api.DrainRequest{Draining: true}, nil)
	g.open()
	if err := g.drain(); err != nil {
		t.Fatal(err)
	}
	killed := layout.Data(filepath.Join(t.TempDir(), "killed"))
	if out, err := exec.Command("cp", "-a", string(h.data), string(killed)).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	h.cancelAll()
	os.Remove(killed.Database() + "-shm")
	journal, err := os.ReadFile(killed.Database() + "-wal")
	if err != nil || len(journal) == 0 {
		t.Fatal("no journal", err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for _, at := range []int{16, 32 + r.IntN(4096), r.IntN(len(journal)), r.IntN(len(journal)), len(journal) - 1} {
		d := layout.Data(filepath.Join(t.TempDir(), "data"))
		if out, err := exec.Command("cp", "-a", string(killed), string(d)).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		spoil(t, d.Database()+"-wal", journal, func(b []byte) []byte { b[at] ^= 8; return b })
		again := &host{TB: t, data: d}
		again.start()
		for i, id := range ended {
			var info api.JobInfo
			if err := again.call("GET", "/v1/jobs/"+id, nil, &info); err != nil || info.ExitCode == nil || *info.ExitCode != i {
				t.Errorf("byte %d of %d: job %d: %v, %+v", at, len(journal), i, err, info)
			}
		}
		if err := again.call("GET", "/v1/jobs/"+waiting, nil, nil); err != nil {
			t.Errorf("byte %d of %d: the job that waited: %v", at, len(journal), err)
		}
		again.cancelAll()
		again.halt()
	}
}

// A job whose row was lost is no leftover: it goes on, check misses its row, and --repair has it followed again.
func TestARunningJobWhoseRowIsLostGoesOn(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	g := h.gate(job("", "w"))
	h.halt()
	db, err := sql.Open("sqlite", "file:"+h.data.Database())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA foreign_keys = ON; DELETE FROM jobs WHERE id = ?", g.id); err != nil {
		t.Fatal(err)
	}
	db.Close()
	h.start()
	h.halt() // which waits for all that starting began
	for _, path := range []string{h.data.Control(g.id), h.data.JobTmp(g.id)} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("it lost what it has: %v", err)
		}
	}
	if r, code := checkIt(t, h.data); code == 0 || len(r.Findings) != 1 || r.Findings[0].Kind != "job" {
		t.Errorf("check: exit code %d, %+v", code, r)
	}
	if r, code := checkIt(t, h.data, "--repair"); code != 0 || len(r.Findings) != 1 || r.Findings[0].Done == "" {
		t.Errorf("repair: exit code %d, %+v", code, r)
	}
	stop(t, h.data)
	h.start()
	g.open()
	if c := h.follow(api.Follow{Job: g.id}); c.drain() != nil || c.result.State != manifest.Succeeded {
		t.Errorf("got %+v", c.result)
	}
}
