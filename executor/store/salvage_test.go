//go:build linux

package store

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// history is a database of some hundred jobs, one of which was removed.
func history(t *testing.T, path string) (removed string) {
	t.Helper()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 300 {
		removed = accept(t, s, sample(int64(i+1), "w", manifest.Sum{})).ID
	}
	end(t, s, Job{ID: removed}, manifest.Failed)
	if _, err := s.Remove(t.Context(), []string{removed}, start); err != nil {
		t.Fatal(err)
	}
	return removed
}

// A disk that was full put an empty database in the place of a damaged one: what was removed came
// back, and what waited was lost.
func TestSalvageOnAFullDiskKeepsTheDamagedDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("a small file system can be mounted by root only: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	path := filepath.Join(dir, "jobs.db")
	removed := history(t, path)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	hog, err := os.Create(filepath.Join(dir, "hog"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = hog.Write(make([]byte, 4096))
	}
	// Room for a new database, and not for what is taken over.
	if err := hog.Truncate(8<<20 - int64(len(before)) - 300<<10); err != nil {
		t.Fatal(err)
	}
	hog.Close()
	if err := Salvage(context.Background(), path, t.TempDir()); err == nil {
		t.Error("it says that it is done")
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the damaged database is another: %v", err)
	}
	os.Remove(hog.Name())
	if err := Salvage(context.Background(), path, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	s, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Tombstone(t.Context(), removed); err != nil {
		t.Errorf("its tombstone: %v", err)
	}
}

// A crash between the removal of a damaged database and the renaming of the new one left the new one unused.
func TestASalvageThatWasCutShortIsFinished(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "jobs.db")
	removed := history(t, path)
	if err := os.Rename(path, nextOf(path)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+"-wal", []byte("of the damaged one"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if known, err := s.Knows(t.Context(), removed); !known || err != nil {
		t.Errorf("what was salvaged is not used: %v", err)
	}
}

// What is in jobs/ and not in the database is found in one walk, whatever lies beside it.
func TestUnknownIsWhatHasNeitherRowNorTombstone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "jobs.db")
	removed := history(t, path)
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	jobs, err := s.List(t.Context(), Filter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	strangers := []string{"", "\xff", "lost+found", "~", manifest.NewID(), manifest.NewID()}
	all := append([]string{removed}, strangers...)
	for _, j := range jobs[len(jobs)/2:] {
		all = append(all, j.ID)
	}
	slices.Sort(all)
	slices.Sort(strangers)
	if unknown, err := s.Unknown(t.Context(), all); err != nil || !slices.Equal(unknown, strangers) {
		t.Errorf("got %q, %v, want %q", unknown, err, strangers)
	}
	if unknown, err := s.Unknown(t.Context(), nil); err != nil || len(unknown) > 0 {
		t.Errorf("of nothing: %q, %v", unknown, err)
	}
}
