//go:build linux

package samepath

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Two jobs, also of two executors, use one mount point: the first to end must not take it away.
func TestAMountPointStaysWhileItIsUsed(t *testing.T) {
	t.Parallel()
	b := newBench(t, "")
	b.req.Root = filepath.Join(b.dir, "x", "proj")
	first, err := New(b.req)
	if err != nil {
		t.Fatal(err)
	}
	second, other := b.req, b.req
	second.Root = filepath.Join(b.dir, "x", "proj2")
	other.Records = filepath.Join(b.dir, "mounts2")
	p2, err2 := New(second)
	p3, err3 := New(other)
	if err := errors.Join(err2, err3, first.Close()); err != nil {
		t.Fatal(err)
	}
	if !exists(b.req.Root) || Sweep(b.req.Records) != nil || !exists(b.req.Root) {
		t.Error("the mount point of a job that runs is gone")
	}
	if err := errors.Join(p3.Close(), Sweep(b.req.Records)); err != nil || exists(b.req.Root) {
		t.Errorf("the mount point stays: %v", err)
	}
	if err := p2.Close(); err != nil || exists(filepath.Join(b.dir, "x")) {
		t.Errorf("the directories above it stay: %v", err)
	}
}

// What somebody put beside a mount point is not ours to remove, nor what was there before.
func TestOnlyWhatWasMadeGoes(t *testing.T) {
	t.Parallel()
	b := newBench(t, "")
	b.req.Root = filepath.Join(b.dir, "old", "new", "proj")
	if err := os.Mkdir(filepath.Join(b.dir, "old"), 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := New(b.req)
	if err != nil {
		t.Fatal(err)
	}
	b.write(filepath.Join(b.dir, "old", "new", "theirs"), "x")
	if err := p.Close(); err != nil || exists(b.req.Root) || !exists(filepath.Join(b.dir, "old", "new", "theirs")) {
		t.Errorf("%v", err)
	}
	if err := os.Remove(filepath.Join(b.dir, "old", "new", "theirs")); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(b.req.Records); err != nil || exists(filepath.Join(b.dir, "old", "new")) || !exists(filepath.Join(b.dir, "old")) {
		t.Errorf("%v", err)
	}
}

func TestASweepTakesWhatAKilledJobLeft(t *testing.T) {
	t.Parallel()
	b := newBench(t, "")
	b.req.Root = filepath.Join(b.dir, "x", "y", "proj")
	p, err := New(b.req)
	if err != nil {
		t.Fatal(err)
	}
	p.release() // as the kernel does
	p.binary.Close()
	b.write(filepath.Join(b.req.Records, "torn"), "")
	if err := Sweep(b.req.Records); err != nil || exists(filepath.Join(b.dir, "x")) {
		t.Errorf("left: %v", err)
	}
	if Sweep(filepath.Join(b.dir, "none")) != nil {
		t.Error("a host without notes cannot be swept")
	}
}

func TestJobsComeAndGoAtOnce(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	b := newBench(t, "")
	b.req.Root = filepath.Join(b.dir, "x", "proj")
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for range 5 {
				req := b.req
				req.Records = filepath.Join(b.dir, "mounts"+itoa(i%2))
				p, err := New(req)
				if err != nil {
					t.Error(err)
					return
				}
				o, err := b.step(p, Step{Argv: []string{"sh", "-c", "pwd -P; cat file"}})
				if err = errors.Join(err, p.Close()); err != nil || o.out != b.req.Root+"\nfrom the workspace\n" {
					t.Errorf("%+v, %v", o, err)
				}
			}
		})
	}
	all.Wait()
	// One executor's may lie in the other's: what is not empty yet goes with the next sweep.
	var err error
	for _, records := range []string{"mounts0", "mounts1", "mounts0"} {
		err = errors.Join(err, Sweep(filepath.Join(b.dir, records)))
	}
	if err != nil || exists(filepath.Join(b.dir, "x")) {
		t.Errorf("left: %v", err)
	}
}
