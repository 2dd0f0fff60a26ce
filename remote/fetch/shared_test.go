//go:build unix

package fetch

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// beside is a second job's bed on the same tree.
func (b *bed) beside(id string) *bed {
	return &bed{TB: b.TB, job: b.TempDir(), root: b.root, dirs: b.dirs,
		m: &manifest.Manifest{Job: id, State: manifest.Succeeded, Workspace: manifest.WorkspaceRecord{Mode: manifest.Concurrent}}}
}

func (b *bed) version(name, content string, second int64) {
	a := b.artifact(name, content)
	a.Changed = time.Unix(1_800_000_000+second, 0)
}

func TestJobsSideBySideBringTheLatest(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	var all sync.WaitGroup
	for i := range 8 {
		job := b.beside(strings.Repeat(string(rune('a'+i)), 16))
		for f := range 20 {
			job.version(fmt.Sprintf("d/x%d.o", f), fmt.Sprintf("version %d", (i+f)%8), int64((i+f)%8))
			job.version(fmt.Sprintf("same%d.o", f), "the same of all", 1)
		}
		all.Go(func() {
			if r, err := Fetch(t.Context(), job.request(), Local(job.job)); err != nil || len(r.Conflicts)+len(r.Failed)+len(r.Refused) > 0 {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
	all.Wait()
	for f := range 20 {
		b.want(fmt.Sprintf("d/x%d.o", f), "version 7")
		b.want(fmt.Sprintf("same%d.o", f), "the same of all")
	}
	if left := b.leftovers(); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func TestAnOlderVersionNeverReplacesALaterOne(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	early, late := b.beside("aaaaaaaaaaaaaaaa"), b.beside("bbbbbbbbbbbbbbbb")
	early.version("x.o", "half", 1)
	late.version("x.o", "half and whole", 2)
	p, err := New(early.request()) // it has looked before the other one puts anything
	if err != nil {
		t.Fatal(err)
	}
	late.fetch(late.request())
	if err := p.Rest(t.Context(), Local(early.job)); err != nil {
		t.Fatal(err)
	}
	if r, err := p.Close(); err != nil || r.Same != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	b.want("x.o", "half and whole")
	b.write("x.o", "the user's")
	late.fetch(late.request())
	b.want("x.o", "the user's")
}

func TestARecordThatIsWrittenAnewMeanwhile(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	one := b.beside("aaaaaaaaaaaaaaaa")
	one.version("x.o", "1", 1)
	p, err := New(one.request())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2*spare + 10 {
		if err := p.record.add("y.o", fmt.Sprint(i), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	two := b.beside("bbbbbbbbbbbbbbbb")
	two.version("z.o", "2", 2)
	two.fetch(two.request())
	if err := p.Rest(t.Context(), Local(one.job)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Close(); err != nil {
		t.Fatal(err)
	}
	three := b.beside("cccccccccccccccc")
	three.version("x.o", "3", 3)
	if r := three.fetch(three.request()); r.Files != 1 {
		t.Errorf("what was put meanwhile passes for the user's: %+v", r)
	}
}

func TestTheSameBytesGetTheirNewTime(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.write("x.o", "same")
	old, written := time.Unix(1_700_000_000, 0), time.Unix(1_750_000_000, 0)
	full := filepath.Join(b.root, "x.o")
	if err := os.Chtimes(full, old, old); err != nil {
		t.Fatal(err)
	}
	a := b.artifact("x.o", "same")
	for _, c := range []struct {
		fresh    bool
		modified time.Time
		want     time.Time
	}{{false, written, old}, {true, old.Add(-time.Hour), old}, {true, written, written}} {
		a.Fresh, a.Modified = c.fresh, c.modified
		b.fetch(b.request())
		if info, err := os.Stat(full); err != nil || !info.ModTime().Equal(c.want) {
			t.Errorf("%+v: %v, %v", c, info.ModTime(), err)
		}
	}
}

func TestLive(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	var said []string
	b.write("mine.log", "the user's")
	l, err := NewLive(b.request(), func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) })
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	list := func(names ...string) (files []api.FileInfo) {
		for _, n := range names {
			f := api.FileInfo{Name: n, Mode: 0o644, Size: 1}
			if info, err := os.Stat(filepath.Join(work, n)); err == nil {
				f.Size, f.Modified = info.Size(), info.ModTime()
			}
			files = append(files, f)
		}
		return files
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	look := func(files []api.FileInfo) {
		for name, f := range l.seen {
			f.rests = time.Time{} // as after a while
			l.seen[name] = f
		}
		l.Take(t.Context(), Local(work), files)
	}
	write("a.log", "one")
	write("mine.log", "the job's")
	names := []string{"a.log", "mine.log", "gone", "../up", ".git/config", "cyclops.toml"}
	look(list(names...))
	b.want("a.log", "one")
	b.want("mine.log", "the user's")
	grown := list("a.log")
	write("a.log", "one two, and it goes on while it is read")
	grown[0].Size, grown[0].Modified = 7, time.Now().Add(time.Hour)
	look(grown)
	b.want("a.log", "one two")
	look(list(names...))
	b.want("a.log", "one two, and it goes on while it is read")
	if len(said) != 4 {
		t.Errorf("said %q", said)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b.artifact("a.log", "all of it")
	if r := b.fetch(b.request()); r.Files != 1 || len(r.Conflicts) > 0 {
		t.Errorf("the fetch at the end: %+v", r)
	}
	b.want("a.log", "all of it")
}
