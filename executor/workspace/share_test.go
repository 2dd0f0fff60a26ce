//go:build linux

package workspace_test

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/workspace"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// crew applies snapshots for jobs that run side by side.
type crew struct {
	*host
	t     *testing.T
	clock time.Time
}

func newCrew(t *testing.T) *crew {
	return &crew{newHost(t, t.TempDir()), t, time.Unix(1_800_000_000, 0)}
}

// join begins a job that its client made so many seconds after the first.
func (c *crew) join(tr tree, seconds int) *workspace.Share {
	c.t.Helper()
	root := c.send(c.t, tr)
	s := c.set(c.t)
	defer s.Close()
	req := c.request(root, s)
	req.Concurrent, req.Owner, req.Created = true, "me", c.clock.Add(time.Duration(seconds)*time.Second)
	r, err := workspace.Apply(bg, req)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { r.Share.Close() })
	if r.Share == nil || r.Start.IsZero() || r.Files == 0 {
		c.t.Fatalf("report %+v", r)
	}
	return r.Share
}

func (c *crew) holds(want tree) {
	c.t.Helper()
	if got := read(c.t, c.data.Workspace("w")); !maps.Equal(got, want) {
		c.t.Fatalf("got %v\nwant %v", got, want)
	}
}

func (c *crew) remove(path string) {
	c.t.Helper()
	if err := os.Remove(filepath.Join(c.data.Workspace("w"), path)); err != nil {
		c.t.Fatal(err)
	}
}

func TestWhatANeighbourDoesToInputsIsNotUndoneUnderIt(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	was := tree{"x.o": file("1"), "y.o": file("1"), "src": file("1")}
	first := c.join(was, 0)
	write(t, c.host, "x.o", "being written")
	c.remove("y.o")
	next := c.join(tree{"x.o": file("1"), "y.o": file("1"), "src": file("edited")}, 1)
	c.holds(tree{"x.o": file("being written"), "src": file("edited")})
	first.Close()
	next.Close()
	c.join(was, 2) // nobody is disturbed now
	c.holds(was)
}

func TestAnAlteredInputIsRestoredBeforeTheNextExclusiveJob(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	was := tree{"x.o": file("1"), "src": file("1")}
	first := c.join(was, 0)
	write(t, c.host, "x.o", "altered")
	c.join(was, 1).Close()
	first.Close()
	c.apply(t, was)
	c.holds(was)
}

func TestAnOlderSnapshotTakesNothingAway(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	c.join(tree{"a": file("1")}, 0)
	c.join(tree{"a": file("2"), "b.o": file("of a neighbour")}, 2)
	c.join(tree{"a": file("1")}, 1) // was made before, arrives later
	c.holds(tree{"a": file("2"), "b.o": file("of a neighbour")})
	c.join(tree{"a": file("2")}, 3) // its client has removed it
	c.holds(tree{"a": file("2")})
}

func TestHalfAFileThatComesBackDoesNotReplaceTheWhole(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	c.join(tree{"src": file("1")}, 0)
	second := c.join(tree{"src": file("1")}, 1)
	write(t, c.host, "x.o", "half")
	if err := second.Give([]workspace.Made{{Name: "x.o", Sum: manifest.SumOf([]byte("half"))}}); err != nil {
		t.Fatal(err)
	}
	second.Close()
	write(t, c.host, "x.o", "half and whole")
	c.join(tree{"src": file("1"), "x.o": file("half")}, 2)
	c.holds(tree{"src": file("1"), "x.o": file("half and whole")})
	c.join(tree{"src": file("1"), "x.o": file("the user's own")}, 3)
	c.holds(tree{"src": file("1"), "x.o": file("the user's own")})
	write(t, c.host, "x.o", "again by a neighbour")
	c.join(tree{"src": file("1")}, 4) // removed here, written anew there
	c.holds(tree{"src": file("1"), "x.o": file("again by a neighbour")})
}

func TestUntouchedAndSettled(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	c.join(tree{"d/a": file("1"), "b": file("1")}, 0)
	write(t, c.host, "b", "2")
	in, err := workspace.SettledInputs(bg, c.data, "w")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"d/a": true, "b": false, "none": false} {
		if st := statOf(t, filepath.Join(c.data.Workspace("w"), path)); in.Untouched(path, &st) != want {
			t.Errorf("%s: untouched is not %v", path, want)
		}
	}
}

func statOf(t *testing.T, path string) (st unix.Stat_t) {
	t.Helper()
	if err := unix.Lstat(path, &st); err != nil && err != unix.ENOENT {
		t.Fatal(err)
	}
	return st
}
