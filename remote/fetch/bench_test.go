//go:build unix

package fetch

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// BenchmarkFetch10k fetches 10,000 files of 1 KiB over SFTP servers on pipes.
func BenchmarkFetch10k(b *testing.B) {
	t := newBed(b)
	for i := range 10_000 {
		t.artifact(fmt.Sprintf("d%03d/f%d", i%200, i), fmt.Sprintf("%1024d", i))
	}
	for _, width := range []int{1, 4} {
		b.Run(fmt.Sprintf("channels=%d", width), func(b *testing.B) {
			src := NewSFTP(t.job, channels(b, width))
			for b.Loop() {
				fetchInto(b, t, src)
			}
		})
	}
}

// BenchmarkFetchLarge fetches one file of 256 MiB.
func BenchmarkFetchLarge(b *testing.B) {
	t := newBed(b)
	t.artifact("big", strings.Repeat("0123456789abcdef", 16<<20))
	src := NewSFTP(t.job, channels(b, 2))
	b.SetBytes(256 << 20)
	for b.Loop() {
		fetchInto(b, t, src)
	}
}

func fetchInto(b *testing.B, t *bed, src Source) {
	r := t.request()
	r.Root = b.TempDir()
	report, err := Fetch(b.Context(), r, src)
	if err != nil || report.Err() != nil || report.Files != len(t.m.Artifacts) {
		b.Fatal(err, report)
	}
	b.StopTimer()
	if err := os.RemoveAll(r.Root); err != nil {
		b.Fatal(err)
	}
	b.StartTimer()
}
