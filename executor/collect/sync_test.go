//go:build linux

package collect

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestWhichKernelsTellOfFailedWrites(t *testing.T) {
	t.Parallel()
	for release, want := range map[string]bool{
		"6.18.44": true, "5.8.0-63-generic": true, "5.10": true, "5.7.19": false, "4.18.0-553.el8_10.x86_64": false, "3.10.0": false,
		"": false, "unknown": false,
	} {
		if tellsSince(release) != want {
			t.Errorf("%q: %v", release, !want)
		}
	}
}

// A kernel whose syncfs keeps failed writes to itself is asked for each file.
func TestManyOutputsAreSyncedOneByOneWhereSyncfsDoesNotTell(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var paths []string
	for i := range manyFiles {
		paths = append(paths, filepath.Join(dir, fmt.Sprint(i)))
		if err := os.WriteFile(paths[i], []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	paths = append(paths, dir)
	for _, tells := range []bool{true, false} {
		if err := syncPaths(dir, paths, tells); err != nil {
			t.Error(err)
		}
	}
	if err := os.Remove(paths[manyFiles/2]); err != nil { // stands for a file that does not sync
		t.Fatal(err)
	}
	if syncPaths(dir, paths, false) == nil {
		t.Error("one of them was not asked")
	}
}
