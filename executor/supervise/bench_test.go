//go:build linux

package supervise

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
)

// BenchmarkLog measures how fast what a job writes gets into its log.
func BenchmarkLog(b *testing.B) {
	const size = 512 << 20
	bench := newBench(b)
	b.SetBytes(size)
	for b.Loop() {
		j, m := bench.run(sh(fmt.Sprintf("head -c %d /dev/zero", size)))
		if m.Usage.LogBytes != size {
			b.Fatalf("log of %d bytes: %s", m.Usage.LogBytes, m.Reason)
		}
		b.ReportMetric(size/1e6/m.Steps[0].Ended.Sub(*m.Steps[0].Started).Seconds(), "MB/s-of-step")
		os.RemoveAll(j.data.Job(j.ID))
	}
}

// BenchmarkTrue measures a job that does nothing, from the start of its supervisor to its end.
func BenchmarkTrue(b *testing.B) {
	bench := newBench(b)
	var started time.Duration
	n := 0
	for b.Loop() {
		j := bench.make(argv("true"))
		begun := time.Now()
		p, err := Start(b.Context(), j.launch, os.Stderr)
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Wait(context.Background()); err != nil {
			b.Fatal(err)
		}
		j.process = p
		started += j.end().Steps[0].Started.Sub(begun)
		n++
	}
	b.ReportMetric(float64(started.Microseconds())/float64(n), "µs-to-tool")
}
