package journal

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote/place"
)

func add(t *testing.T, j *Journal, entries ...Entry) {
	t.Helper()
	for _, e := range entries {
		if err := j.Add(e); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	j := Open(place.Dirs{State: t.TempDir()})
	add(t, j,
		Entry{ID: "aaaaaaaaaaaaaaaa", Host: "lab", Name: "build"},
		Entry{ID: "aabbbbbbbbbbbbbb", Host: "lab", Name: "build"},
		Entry{ID: "cccccccccccccccc", Host: "user@h", Created: time.Unix(5, 0)},
	)
	for word, want := range map[string]string{
		"aaaaaaaaaaaaaaaa": "aaaaaaaaaaaaaaaa", "aaa": "aaaaaaaaaaaaaaaa", "build": "aabbbbbbbbbbbbbb", "@1": "cccccccccccccccc",
		"@3": "aaaaaaaaaaaaaaaa", "c": "cccccccccccccccc", "user@h/c": "cccccccccccccccc", "else/dddddddddddddddd": "dddddddddddddddd",
		"lab/aab": "aabbbbbbbbbbbbbb",
	} {
		if e, err := j.Lookup(word); err != nil || e.ID != want {
			t.Errorf("%s: %s, %v; want %s", word, e.ID, err, want)
		}
	}
	for word, want := range map[string]api.Kind{
		"aa": api.Ambiguous, "zzz": api.NotFound, "": api.NotFound, "@0": api.Usage, "@x": api.Usage, "@4": api.NotFound, "lab/aa": api.Ambiguous,
		"else/a": api.NotFound, "no such": api.NotFound,
	} {
		if _, err := j.Lookup(word); api.KindOf(err) != want || err == nil {
			t.Errorf("%q: %v, want kind %d", word, err, want)
		}
	}
}

func TestTornAndDamagedLines(t *testing.T) {
	t.Parallel()
	j := Open(place.Dirs{State: t.TempDir()})
	add(t, j, Entry{ID: "aaaaaaaaaaaaaaaa"}, Entry{ID: "bbbbbbbbbbbbbbbb"})
	data, err := os.ReadFile(j.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(j.file, data[:len(data)-7], 0o600); err != nil {
		t.Fatal(err)
	}
	if list, damaged, err := j.List(); len(list) != 1 || damaged != 0 || err != nil {
		t.Fatalf("torn: %v, %d damaged, %v", list, damaged, err)
	}
	add(t, j, Entry{ID: "cccccccccccccccc"})
	list, damaged, err := j.List()
	if len(list) != 2 || list[0].ID != "cccccccccccccccc" || damaged != 1 || err != nil {
		t.Fatalf("behind a torn line: %v, %d damaged, %v", list, damaged, err)
	}
	add(t, j, Entry{ID: "aaaaaaaaaaaaaaaa", Host: "again"})
	if e, err := j.Lookup("a"); err != nil || e.Host != "again" {
		t.Errorf("a later entry must replace an earlier one: %+v, %v", e, err)
	}
}

func TestJournalIsBounded(t *testing.T) {
	t.Parallel()
	j := Open(place.Dirs{State: t.TempDir()})
	var data []byte
	var last string
	for range 2 * Keep {
		last = manifest.NewID()
		line, err := encode(Entry{ID: last})
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, line...)
	}
	if err := os.WriteFile(j.file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	add(t, j, Entry{ID: "cccccccccccccccc"})
	list, damaged, err := j.List()
	if len(list) != Keep+1 || damaged != 0 || err != nil || list[1].ID != last {
		t.Fatalf("%d entries, %d damaged, %v", len(list), damaged, err)
	}
}

func TestSeveralWriters(t *testing.T) {
	t.Parallel()
	dirs := place.Dirs{State: t.TempDir()}
	var ids sync.Map
	var writers sync.WaitGroup
	for i := range 8 {
		writers.Go(func() {
			id, err := ClientID(dirs)
			if err != nil {
				t.Error(err)
			}
			ids.Store(id, true)
			for n := range 20 {
				if err := Open(dirs).Add(Entry{ID: manifest.NewID(), Name: fmt.Sprint(i, n)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	n := 0
	ids.Range(func(any, any) bool { n++; return true })
	list, damaged, err := Open(dirs).List()
	if n != 1 || len(list) != 160 || damaged != 0 || err != nil {
		t.Fatalf("%d client ids, %d entries, %d damaged, %v", n, len(list), damaged, err)
	}
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	dirs := place.Dirs{State: t.TempDir()}
	for range 2 {
		if err := Confirm(dirs, "/tree\n\"x\" \"/other\"", "lab"); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		root, host string
		want       bool
	}{{"/tree\n\"x\" \"/other\"", "lab", true}, {"/tree", "lab", false}, {"/other", "x", false}} {
		if got, err := Confirmed(dirs, c.root, c.host); got != c.want || err != nil {
			t.Errorf("%q to %s: %t, %v", c.root, c.host, got, err)
		}
	}
	data, err := os.ReadFile(rootsFile(dirs))
	if err != nil || bytes.Count(data, []byte("\n")) != 1 {
		t.Errorf("%q, %v", data, err)
	}
}

func FuzzJournal(f *testing.F) {
	line, err := encode(Entry{ID: "aaaaaaaaaaaaaaaa", Host: "lab"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add([]byte(strings.Repeat("\n", 3) + "00000000 {}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, _ := decode(data)
		for _, e := range list {
			if !manifest.ValidID(e.ID) {
				t.Errorf("took id %q", e.ID)
			}
		}
	})
}
