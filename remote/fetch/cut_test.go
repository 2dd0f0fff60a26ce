//go:build linux

package fetch

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote/carry"
	"github.com/cyclops-fpga/cyclops/remote/connect"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/place"
	"github.com/cyclops-fpga/cyclops/remote/retry"
	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// counting counts the bytes that come.
type counting struct {
	carry.Opener
	read atomic.Int64
}

func (c *counting) Bulk(ctx context.Context) (io.ReadWriteCloser, error) {
	s, err := c.Opener.Bulk(ctx)
	if err != nil {
		return nil, err
	}
	return &countingStream{s, c}, nil
}

type countingStream struct {
	io.ReadWriteCloser
	c *counting
}

func (s *countingStream) Read(p []byte) (int, error) {
	n, err := s.ReadWriteCloser.Read(p)
	s.c.read.Add(int64(n))
	return n, err
}

func overSSH(t testing.TB, s *sshtest.Server, config string) *counting {
	t.Helper()
	dirs := place.Dirs{State: t.TempDir(), Runtime: t.TempDir(), Cache: t.TempDir(), Config: t.TempDir()}
	conn := connect.Open(hosts.Host{Name: s.Name, Address: s.Name}, connect.Options{Dirs: dirs, SSHConfig: config})
	t.Cleanup(func() { conn.Close() })
	return &counting{Opener: conn}
}

// throughCuts fetches what b has over a line that is cut, and returns how many bytes came for each that is needed.
func throughCuts(b *bed, s *sshtest.Server, each int64, n int) float64 {
	b.Helper()
	c := s.Cutter()
	opener := overSSH(b, s, c.ConfigFile)
	var lost, back atomic.Int64
	patience := &retry.Patience{Limit: time.Minute, Lost: func(error) { lost.Add(1) }, Back: func() { back.Add(1) }}
	src := NewSFTP(b.job, carry.New(opener, 3, patience))
	defer src.Close()
	done := c.ResetEvery(each, n)
	report, err := Fetch(b.Context(), b.request(), src)
	if err != nil || report.Err() != nil || report.Files != len(b.m.Artifacts) || len(b.leftovers()) > 0 {
		b.Fatalf("%+v, %v, left %v", report, err, b.leftovers())
	}
	var size int64
	for _, a := range b.m.Artifacts {
		size += a.Size
		data, err := os.ReadFile(b.root + "/" + a.Name)
		if err != nil || manifest.SumOf(data).Digest() != a.Digest {
			b.Errorf("%s is another, %v", a.Name, err)
		}
	}
	if done.Load() < int64(n) || lost.Load() > 2*int64(n) || lost.Load() != back.Load() {
		b.Errorf("%d of %d cuts; told lost %d, back %d", done.Load(), n, lost.Load(), back.Load())
	}
	ratio := float64(opener.read.Load()) / float64(size)
	b.Logf("%d cuts, told %d times; %.2f of the bytes came, %.2f went through the line", done.Load(), lost.Load(), ratio, float64(c.Bytes())/float64(size))
	return ratio
}

func TestLargeThroughCuts(t *testing.T) {
	t.Parallel()
	n := sshtest.Cuts()
	b := newBed(t)
	const each = 2 << 20
	part := strings.Repeat("0123456789abcdef", each/16/4)
	var text strings.Builder
	for i := range 4*n + n {
		fmt.Fprintf(&text, "%08d%s", i, part)
	}
	b.artifact("big", text.String())
	if ratio := throughCuts(b, sshtest.Start(t, sshtest.Options{}), each, n); ratio > 1.5 {
		t.Errorf("%.2f of the bytes came", ratio)
	}
}

func TestSmallThroughCuts(t *testing.T) {
	t.Parallel()
	n := sshtest.Cuts()
	b := newBed(t)
	for i := range 30 * n {
		b.artifact(fmt.Sprintf("d%d/f%d", i%7, i), fmt.Sprintf("%*d", 10+i%3000*11, i))
	}
	var size int64
	for _, a := range b.m.Artifacts {
		size += a.Size
	}
	if ratio := throughCuts(b, sshtest.Start(t, sshtest.Options{}), size/int64(n), n); ratio > 1.5 {
		t.Errorf("%.2f of the bytes came", ratio)
	}
}

// When the line stays away the fetch ends with one error, not with one for each file, and the next one goes on.
func TestGoneForGood(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for i := range 500 {
		b.artifact(fmt.Sprintf("f%d", i), fmt.Sprintf("%20000d", i))
	}
	s := sshtest.Start(t, sshtest.Options{})
	c := s.Cutter()
	src := NewSFTP(b.job, carry.New(overSSH(t, s, c.ConfigFile), 3, &retry.Patience{Limit: time.Second}))
	defer src.Close()
	c.OnBytes(2<<20, c.Down)
	report, err := Fetch(t.Context(), b.request(), src)
	if api.KindOf(err) != api.Undelivered || len(report.Failed) > 0 || report.Files == 0 || report.Files == 500 || len(b.leftovers()) > 0 {
		t.Fatalf("%v, %d files, failed %v, left %v", err, report.Files, report.Failed, b.leftovers())
	}
	c.Up()
	here := report.Files
	again := NewSFTP(b.job, carry.New(overSSH(t, s, c.ConfigFile), 3, nil))
	defer again.Close()
	report, err = Fetch(t.Context(), b.request(), again)
	if err != nil || report.Err() != nil || report.Same != here || report.Files != 500-here {
		t.Errorf("%v, %v: %d here already, %d came", err, report.Err(), report.Same, report.Files)
	}
}
