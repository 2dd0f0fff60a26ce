//go:build linux

package engine

import (
	"fmt"
	"os"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/hostconfig"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// BenchmarkFindJobs is what a start behind a KILL does on a host of many ended jobs: it compares their
// directories with the database, and has 30 s for all.
func BenchmarkFindJobs(b *testing.B) {
	h := newHistory(b, hostconfig.Retention{})
	const jobs = 100_000
	err := h.Store.Restore(b.Context(), func(yield func(store.Job, []byte) bool) {
		for i := range jobs {
			id := manifest.NewID()
			if err := os.Mkdir(h.Data.Job(id), 0o700); err != nil {
				b.Fatal(err)
			}
			j := store.Job{Seq: int64(i + 1), ID: id, State: manifest.Succeeded, Workspace: fmt.Sprint("w", i%100), Accepted: h.start, Ended: h.start}
			if !yield(j, []byte("{}")) {
				return
			}
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if found, left, err := h.findJobs(b.Context()); err != nil || len(found)+left > 0 {
			b.Fatal(len(found), left, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/jobs, "µs/job")
}
