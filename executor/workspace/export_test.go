//go:build linux

package workspace

import (
	"golang.org/x/sys/unix"
	"path/filepath"
	"testing"
)

// PretendOtherBoot gives an index the present stat of one file, as if that had been recorded by an
// earlier boot and the file's bytes had been lost since.
func PretendOtherBoot(t testing.TB, indexPath, workspace, name string) {
	t.Helper()
	x, err := loadIndex(indexPath)
	if err != nil || x == nil {
		t.Fatal("no index", err)
	}
	st, err := statAt(unix.AT_FDCWD, filepath.Join(workspace, name))
	if err != nil {
		t.Fatal(err)
	}
	x.root.find(name).stamp = stampOf(&st)
	x.boot = "another"
	if err := x.save(indexPath); err != nil {
		t.Fatal(err)
	}
}
