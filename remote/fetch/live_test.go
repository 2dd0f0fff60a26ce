//go:build unix

package fetch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// slow is a source that takes a while to open each file, and counts how often it did.
type slow struct {
	Source
	takes  time.Duration
	opened []string
}

func (s *slow) Open(ctx context.Context, path string) (File, error) {
	time.Sleep(s.takes)
	s.opened = append(s.opened, path)
	return s.Source.Open(ctx, path)
}

// livebed is a fetch from a job that runs, of whose files only the names and sizes count.
type livebed struct {
	*bed
	*Live
	src  *slow
	said []string
}

func newLivebed(t *testing.T, patterns ...string) *livebed {
	b := &livebed{bed: newBed(t)}
	work := t.TempDir()
	for _, name := range []string{"a.log", "logs/b.log", "secret.key"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(work, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(work, name), make([]byte, 1000), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b.src = &slow{Source: Local(work)}
	r := b.request()
	r.Patterns = patterns
	l, err := NewLive(r, func(format string, args ...any) { b.said = append(b.said, fmt.Sprintf(format, args...)) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	b.Live = l
	return b
}

func (b *livebed) look(size int64, names ...string) {
	var files []api.FileInfo
	for _, n := range names {
		files = append(files, api.FileInfo{Name: n, Size: size, Mode: 0o644})
	}
	b.Take(b.Context(), b.src, files)
}

// A file that grows all the time must not have the line to itself.
func TestLiveLeavesTheLineToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newLivebed(t)
		b.src.takes = 6 * time.Second
		began := time.Now()
		for size := int64(1); size <= 300; size++ {
			b.look(size, "a.log")
			time.Sleep(2 * time.Second)
		}
		busy, all := time.Duration(len(b.src.opened))*b.src.takes, time.Since(began)
		if busy > all/liveRest || busy < all/(2*liveRest) {
			t.Errorf("copied for %v of %v", busy, all)
		}
	})
}

func TestLiveTakesOnlyWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	b := newLivebed(t, "*.log", "l*s")
	b.look(1, "a.log", "secret.key", "logs/b.log")
	if want := []string{"a.log", "logs/b.log"}; !slices.Equal(b.src.opened, want) {
		t.Errorf("opened %q, want %q", b.src.opened, want)
	}
}

func TestLiveFilesAreBounded(t *testing.T) {
	t.Parallel()
	b := newLivebed(t)
	for i := range maxLiveFiles + 100 {
		b.look(-1, fmt.Sprint("no/", i))
	}
	b.look(1, "a.log")
	if len(b.seen) != maxLiveFiles || len(b.said) != maxLiveFiles+1 || len(b.src.opened) > 0 {
		t.Errorf("%d files, said %d words, opened %q", len(b.seen), len(b.said), b.src.opened)
	}
}
