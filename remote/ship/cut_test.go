//go:build linux

package ship

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote/carry"
	"github.com/cyclops-fpga/cyclops/remote/connect"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/place"
	"github.com/cyclops-fpga/cyclops/remote/retry"
	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// overSSH leads to s through c, and counts the bytes that are written.
func overSSH(t testing.TB, s *sshtest.Server, c *sshtest.Cutter) *counting {
	t.Helper()
	dirs := place.Dirs{State: t.TempDir(), Runtime: t.TempDir(), Cache: t.TempDir(), Config: t.TempDir()}
	conn := connect.Open(hosts.Host{Name: s.Name, Address: s.Name}, connect.Options{Dirs: dirs, SSHConfig: c.ConfigFile})
	t.Cleanup(func() { conn.Close() })
	return &counting{Opener: conn}
}

type counting struct {
	carry.Opener
	opened, written atomic.Int64
}

func (c *counting) Bulk(ctx context.Context) (io.ReadWriteCloser, error) {
	s, err := c.Opener.Bulk(ctx)
	if err != nil {
		return nil, err
	}
	c.opened.Add(1)
	return &countingStream{s, c}, nil
}

type countingStream struct {
	io.ReadWriteCloser
	c *counting
}

func (s *countingStream) Write(p []byte) (int, error) {
	n, err := s.ReadWriteCloser.Write(p)
	s.c.written.Add(int64(n))
	return n, err
}

// told counts how often a break and its end are told.
type told struct{ lost, back atomic.Int64 }

func (n *told) patience() *retry.Patience {
	return &retry.Patience{Limit: time.Minute, Lost: func(error) { n.lost.Add(1) }, Back: func() { n.back.Add(1) }}
}

func randomBytes(n int) string {
	data := make([]byte, n)
	_, _ = rand.Read(data)
	return string(data)
}

func TestUploadThroughCuts(t *testing.T) {
	t.Parallel()
	const each = 4 << 20
	n := sshtest.Cuts()
	b := newBed(t, map[string]string{"big": randomBytes(n * each * 5 / 4), "small": "s"})
	s := sshtest.Start(t, sshtest.Options{})
	c := s.Cutter()
	opener, said := overSSH(t, s, c), new(told)
	channels := carry.New(opener, 2, said.patience())
	defer channels.Close()
	done := c.ResetEvery(each, n)
	p := NewPlan(b.take(), b.recall())
	incoming := t.TempDir()
	up, err := p.Upload(t.Context(), incoming, channels, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(incoming, up.Name))
	if err != nil || int64(len(data)) != up.Size || manifest.SumOf(data) != up.Sum {
		t.Fatalf("%d bytes of %d, equal: %t, %v", len(data), up.Size, manifest.SumOf(data) == up.Sum, err)
	}
	ratio := float64(opener.written.Load()) / float64(up.Size)
	t.Logf("%d cuts, told %d times; %.2f of the bytes were written, %.2f went through the line", done.Load(), said.lost.Load(), ratio, float64(c.Bytes())/float64(up.Size))
	if done.Load() < int64(n) || ratio > 1.5 || said.lost.Load() > 2*int64(n) || said.lost.Load() != said.back.Load() {
		t.Errorf("%d of %d cuts; told lost %d, back %d; wrote %.2f of what there is", done.Load(), n, said.lost.Load(), said.back.Load(), ratio)
	}
	if info, err := os.Stat(filepath.Join(incoming, up.Name)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// What the host swept away meanwhile is begun again, under another name.
func TestUploadVanishes(t *testing.T) {
	t.Parallel()
	b := newBed(t, map[string]string{"big": randomBytes(8 << 20)})
	s := sshtest.Start(t, sshtest.Options{})
	c := s.Cutter()
	channels := carry.New(overSSH(t, s, c), 2, new(told).patience())
	defer channels.Close()
	incoming := t.TempDir()
	var once sync.Once
	c.OnBytes(4<<20, func() {
		c.Reset()
		once.Do(func() {
			list, _ := os.ReadDir(incoming)
			for _, e := range list {
				os.Remove(filepath.Join(incoming, e.Name()))
			}
		})
	})
	p := NewPlan(b.take(), b.recall())
	up, err := p.Upload(t.Context(), incoming, channels, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(incoming, up.Name))
	if list, _ := os.ReadDir(incoming); err != nil || manifest.SumOf(data) != up.Sum || len(list) != 1 {
		t.Errorf("%d bytes of %d, %d files, %v", len(data), up.Size, len(list), err)
	}
}

// A line that is cut for good ends with contact lost once patience is used up, and Ctrl-C at once.
func TestUploadGivesUp(t *testing.T) {
	t.Parallel()
	b := newBed(t, map[string]string{"big": randomBytes(8 << 20)})
	s := sshtest.Start(t, sshtest.Options{})
	for name, frozen := range map[string]bool{"down": false, "silent": true} {
		c := s.Cutter()
		ctx, stop := context.WithCancel(t.Context())
		p := new(told).patience()
		p.Limit = time.Second
		channels := carry.New(overSSH(t, s, c), 2, p)
		c.OnBytes(2<<20, func() {
			if frozen {
				c.Freeze()
				stop()
			} else {
				c.Down()
			}
		})
		began := time.Now()
		_, err := NewPlan(b.take(), b.recall()).Upload(ctx, t.TempDir(), channels, nil)
		channels.Close()
		if took := time.Since(began); took > 20*time.Second || err == nil || frozen != errors.Is(err, context.Canceled) || !frozen && !retry.Broken(err) {
			t.Errorf("%s: %v after %v", name, err, took)
		}
		stop()
	}
}
