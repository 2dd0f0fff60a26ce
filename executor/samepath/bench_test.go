//go:build linux

package samepath

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// BenchmarkEnter compares a step in its place with the same without one, in pairs, and reports
// the median of the difference. $CYCLOPSD names the binary that enters, else it is the test's own.
func BenchmarkEnter(b *testing.B) {
	needNamespaces(b)
	for name, root := range map[string]string{"bind": "", "mirror": missing("/")} {
		b.Run(name, func(b *testing.B) { benchEnter(newBench(b, root)) })
	}
}

func benchEnter(b *bench) {
	t := b.TB.(*testing.B)
	if b.req.Root == "" || os.Getuid() == 0 {
		b.req.Root = filepath.Join(b.dir, "there")
	}
	p, err := New(b.req)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	if path := os.Getenv("CYCLOPSD"); path != "" {
		if p.binary, err = os.Open(path); err != nil {
			b.Fatal(err)
		}
	}
	var more []time.Duration
	for t.Loop() {
		begun := time.Now()
		pid, err := syscall.ForkExec("/bin/true", []string{"true"}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Setsid: true}})
		var o outcome
		if err != nil || reap(pid, &o) != nil {
			b.Fatal(err)
		}
		plain := time.Since(begun)
		begun = time.Now()
		if _, err := b.step(p, Step{Argv: []string{"/bin/true"}}); err != nil {
			b.Fatal(err)
		}
		more = append(more, time.Since(begun)-plain)
	}
	slices.Sort(more)
	t.ReportMetric(float64(more[len(more)/2].Microseconds())/1000, "ms/more")
	t.ReportMetric(float64(more[len(more)/10].Microseconds())/1000, "ms/more-p10")
}
