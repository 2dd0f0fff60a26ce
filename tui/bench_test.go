package tui

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/executor/api"
)

// sparse is a host whose log is of any size and read like one on a disk.
type sparse struct {
	*fake
	size int64
}

const sparseLine = "INFO: [Route 35-16] Router Completed Successfully, net clk_IBUF_BUFG is fine\n"

func (s *sparse) LogPage(_ context.Context, _ Ref, p LogPart) (LogPage, error) {
	line := int64(len(sparseLine))
	from := min(p.From, s.size) / line * line
	end := min(s.size, from+int64(p.Limit)/line*line)
	if p.Back > 0 {
		from, end = max(0, from-int64(p.Back)*line), from
	}
	data := []byte(strings.Repeat(sparseLine, int((end-from)/line)))
	return LogPage{[]api.LogChunk{{Offset: from, Stream: api.Stdout, Data: data}}, api.LogPage{From: from, Next: from + int64(len(data)), Size: s.size}}, nil
}

// BenchmarkFirstFrame is from the hosts' first answers to what is on the screen, with 1,000,000 jobs.
func BenchmarkFirstFrame(b *testing.B) {
	f := many(2, 500_000)
	for b.Loop() {
		m := begin(b, f, 120, 40)
		if !strings.Contains(screen(m), "succeeded") {
			b.Fatal(screen(m))
		}
	}
	memory(b)
}

// BenchmarkKeyToFrame scrolls through 1,000,000 jobs; p99 is of a key with its frame.
func BenchmarkKeyToFrame(b *testing.B) {
	m := begin(b, many(2, 500_000), 120, 40)
	latencies(b, m, "j", "ctrl+d", "j", "k")
}

// BenchmarkLogOpen opens a log of 10 GB.
func BenchmarkLogOpen(b *testing.B) {
	m := begin(b, sample(), 120, 40)
	m.client = &sparse{sample(), 10 << 30 / int64(len(sparseLine)) * int64(len(sparseLine))}
	for b.Loop() {
		press(m, "j", "j", "t")
		if !strings.Contains(screen(m), "10.0 GiB of 10.0 GiB") {
			b.Fatal(screen(m))
		}
		press(m, "q", "g")
	}
	memory(b)
}

// BenchmarkLogScroll scrolls through a log of 10 GB.
func BenchmarkLogScroll(b *testing.B) {
	m := begin(b, sample(), 120, 40)
	m.client = &sparse{sample(), 10 << 30 / int64(len(sparseLine)) * int64(len(sparseLine))}
	press(m, "j", "j", "t")
	latencies(b, m, "ctrl+u", "k", "ctrl+u", "w")
}

// BenchmarkLogTail follows a log whose window is full.
func BenchmarkLogTail(b *testing.B) {
	m := begin(b, sample(), 120, 40)
	press(m, "t")
	p := m.top().(*logPane)
	p.ended, p.follow, p.tail = false, true, make(chan Chunk)
	grow := func(lines int) {
		var chunks []api.LogChunk
		for at := p.size; lines > 0; lines-- {
			chunks = append(chunks, api.LogChunk{Offset: at, Stream: api.Stdout, Data: []byte(sparseLine)})
			at += int64(len(sparseLine))
		}
		m.Update(tailMsg{pane: p, tail: p.tail, chunks: chunks})
	}
	grow(keptLines)
	for b.Loop() {
		grow(100)
		_ = screen(m)
	}
	memory(b)
}

func latencies(b *testing.B, m *Model, keys ...string) {
	var all []time.Duration
	i := 0
	for b.Loop() {
		began := time.Now()
		_, cmd := m.Update(keyOf(keys[i%len(keys)]))
		_ = screen(m)
		all = append(all, time.Since(began))
		pump(m, cmd)
		i++
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
	memory(b)
}

func memory(b *testing.B) {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	b.ReportMetric(float64(s.HeapAlloc)/(1<<20), "heap-MiB")
}

// BenchmarkNews takes over what a busy host pushes.
func BenchmarkNews(b *testing.B) {
	m := begin(b, many(2, 500_000), 120, 40)
	for i := 0; b.Loop(); i++ {
		e := Event{}
		for k := range 100 {
			e.News.Jobs = append(e.News.Jobs, api.JobInfo{ID: fmt.Sprintf("live-%d", k), Seq: int64(600_000 + k), State: "running", Step: i, Accepted: sampleTime})
		}
		_, cmd := m.Update(eventMsg{host: "h0", event: e, from: nil})
		_, _ = cmd, tea.Msg(nil)
		_ = screen(m)
	}
}
