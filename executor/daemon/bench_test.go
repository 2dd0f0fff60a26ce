//go:build linux

package daemon_test

import (
	"testing"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// BenchmarkRun measures a job from submit to its end, its record durable.
func BenchmarkRun(b *testing.B) {
	h := newHost(b, "")
	h.run(job("true", "w"))
	for b.Loop() {
		j := job("", "w")
		j.Steps = []manifest.Step{{Argv: []string{"true"}}}
		h.run(j)
	}
}

// BenchmarkLog measures how fast a log of an ended job is replayed.
func BenchmarkLog(b *testing.B) {
	const size = 200 << 20
	h := newHost(b, "")
	j := job("head -c 209715200 /dev/zero", "w")
	h.submit(j, nil).drain()
	follow := *everything
	follow.Job = j.ID
	h.follow(follow).drain()
	b.SetBytes(size)
	for b.Loop() {
		c := h.follow(follow)
		n := 0
		for more := true; more; {
			_, more = c.next()
			for _, chunk := range c.log {
				n += len(chunk.Data)
			}
			c.log = c.log[:0]
		}
		if n != size {
			b.Fatalf("got %d bytes", n)
		}
	}
}
