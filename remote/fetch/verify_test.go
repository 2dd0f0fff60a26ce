//go:build unix

package fetch

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// A symlink that led elsewhere, or was gone, was not looked at, and all artifacts were said to match.
func TestVerifyComparesWhereASymlinkLeads(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.artifact("a", "what it leads to")
	link := manifest.Artifact{
		Name: "latest", Path: "artifacts/latest", Kind: manifest.KindSymlink, Target: "a", Size: 1, Digest: manifest.SumOf([]byte("a")).Digest(),
	}
	path := filepath.Join(b.job, link.Path)
	sftp := NewSFTP(b.job, channels(t, 1))
	defer sftp.Close()
	for _, src := range []Source{Local(b.job), sftp} {
		if err := errors.Join(os.Symlink("a", path), Verify(t.Context(), src, link), Verify(t.Context(), src, b.m.Artifacts[0])); err != nil {
			t.Errorf("%T, as it was: %v", src, err)
		}
		if err := errors.Join(os.Remove(path), os.Symlink("b", path)); err != nil {
			t.Fatal(err)
		}
		if err := Verify(t.Context(), src, link); api.KindOf(err) != api.Corrupt {
			t.Errorf("%T, elsewhere: %v", src, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := Verify(t.Context(), src, link); err == nil {
			t.Errorf("%T: nobody misses it", src)
		}
	}
}
