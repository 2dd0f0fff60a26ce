//go:build linux

package supervise

import (
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// OutputsBeside lists the copies of a job's outputs that lie beside a record which is damaged or lost.
// What the files do not say themselves, as what kind they are and how fresh, is not known any more.
func OutputsBeside(data layout.Data, id string) ([]manifest.Artifact, error) {
	list := []manifest.Artifact{}
	root := data.Artifacts(id)
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() && d.Type() != fs.ModeSymlink {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		a, err := outputBeside(p, d.Type())
		a.Name = filepath.ToSlash(rel)
		a.Path = path.Join("artifacts", a.Name)
		list = append(list, a)
		return err
	})
	return list, err
}

func outputBeside(file string, kind fs.FileMode) (manifest.Artifact, error) {
	if kind == fs.ModeSymlink {
		target, err := os.Readlink(file)
		return manifest.Artifact{
			Kind: manifest.KindSymlink, MediaType: "inode/symlink", Target: target,
			Size: int64(len(target)), Digest: manifest.SumOf([]byte(target)).Digest(), Mode: 0o777,
		}, err
	}
	sum, n, err := SumOfFile(file)
	return manifest.Artifact{Kind: manifest.KindOutput, MediaType: "application/octet-stream", Size: n, Digest: sum.Digest(), Mode: 0o644}, err
}

// SumOfFile returns the digest of what a file holds, and how many bytes that is.
func SumOfFile(path string) (sum manifest.Sum, n int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err = io.Copy(h, f)
	h.Sum(sum[:0])
	return sum, n, err
}
