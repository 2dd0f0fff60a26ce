//go:build linux

package daemon_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/daemon"
	"github.com/cyclops-fpga/cyclops/executor/layout"
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

// maxMemory is what a daemon or a supervisor may take at most, whatever the log's size.
const maxMemory = 64e6

// BenchmarkCapture measures how fast what a job writes gets into its log, durably and with somebody
// following, beside what dd does on the same disk, and how much memory a real daemon and the
// supervisor take for it: no more than maxMemory each. CYCLOPS_BENCH_LOG is the log's size in bytes.
func BenchmarkCapture(b *testing.B) {
	size := captured(b)
	h := &host{TB: b, data: layout.Data(b.TempDir())}
	b.Cleanup(func() {
		if _, err := daemon.Stop(context.Background(), h.data); err != nil {
			b.Error(err)
		}
	})
	h.ensure()
	hello, err := daemon.Hello(b.Context(), h.data)
	if err != nil {
		b.Fatal(err)
	}
	h.run(job("true", "w"))
	b.SetBytes(size)
	for b.Loop() {
		b.StopTimer()
		disk := h.dd(size)
		gate := filepath.Join(b.TempDir(), "gate")
		b.StartTimer()
		begun := time.Now()
		j := job(fmt.Sprintf("head -c %d /dev/zero; ", size)+awaiting(gate), "w")
		if err := h.submit(j, nil).drain(); err != nil {
			b.Fatal(err)
		}
		read := make(chan error, 1)
		c := h.follow(api.Follow{Job: j.ID, Log: true})
		c.patient()
		go func() {
			_, _, err := c.digest()
			read <- err
		}()
		for h.show(j.ID).LogSize < size {
			time.Sleep(10 * time.Millisecond)
		}
		b.ReportMetric(float64(size)/1e6/time.Since(begun).Seconds(), "MB/s-captured")
		supervisor := peakOf(b, supervisorOf(b, h.data, j.ID))
		if err := os.WriteFile(gate, nil, 0o600); err != nil {
			b.Fatal(err)
		}
		if err := <-read; err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(size)/1e6/time.Since(begun).Seconds(), "MB/s-durable")
		b.ReportMetric(disk, "MB/s-dd")
		server := peakOf(b, hello.PID)
		b.ReportMetric(float64(supervisor)/1e6, "MB-supervisor")
		b.ReportMetric(float64(server)/1e6, "MB-daemon")
		if max(supervisor, server) >= maxMemory {
			b.Fatalf("the supervisor took %d bytes of memory, the daemon %d", supervisor, server)
		}
		if _, n := h.logOf(j.ID); n != size {
			b.Fatalf("the log has %d bytes", n)
		}
		if err := h.call("DELETE", "/v1/jobs/"+j.ID, nil, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// captured is how many bytes BenchmarkCapture captures.
func captured(b *testing.B) int64 {
	text := os.Getenv("CYCLOPS_BENCH_LOG")
	if text == "" {
		return 1 << 30
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// dd writes as much by dd, in pieces as large as a supervisor's, and returns how many MB it wrote in a second.
func (h *host) dd(size int64) float64 {
	h.Helper()
	file := filepath.Join(string(h.data), "dd")
	begun := time.Now()
	cmd := exec.Command("dd", "if=/dev/zero", "of="+file, "bs=256k", "count="+fmt.Sprint(size>>18), "conv=fsync", "status=none")
	if out, err := cmd.CombinedOutput(); err != nil {
		h.Fatalf("dd: %v %s", err, out)
	}
	rate := float64(size) / 1e6 / time.Since(begun).Seconds()
	if err := os.Remove(file); err != nil {
		h.Fatal(err)
	}
	return rate
}
