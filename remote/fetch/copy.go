package fetch

import (
	"context"
	"crypto/sha256"
	"io"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// Copy writes one artifact to w and compares what it wrote with the manifest.
func Copy(ctx context.Context, src Source, a manifest.Artifact, w io.Writer) error {
	if err := sourcePath(a); err != nil {
		return err
	}
	f, err := src.Open(ctx, a.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	buf := make([]byte, min(max(a.Size, 1), chunkSize)) // one round trip for each
	n, err := io.CopyBuffer(io.MultiWriter(w, h), io.NewSectionReader(f, 0, a.Size), buf)
	if err != nil {
		return readFailed(a, err)
	}
	return verify(a, n, manifest.Sum(h.Sum(nil)))
}
