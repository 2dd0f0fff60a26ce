package fetch

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// Copy writes the bytes of one artifact to w. Only a nil error says that they were the right ones.
func Copy(ctx context.Context, src Source, a manifest.Artifact, w io.Writer) error {
	if err := sourcePath(a); err != nil {
		return err
	}
	if a.Size == 0 {
		return verify(a, 0, manifest.SumOf(nil))
	}
	f, err := src.Open(ctx, a.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	buf := make([]byte, chunkSize)
	var n int64
	for n < a.Size && ctx.Err() == nil {
		part := buf[:min(chunkSize, a.Size-n)]
		got, err := f.ReadAt(part, n)
		if err != nil && !(errors.Is(err, io.EOF) && got == len(part)) {
			return readFailed(a, err)
		}
		h.Write(part)
		if _, err := w.Write(part); err != nil {
			return err
		}
		n += int64(got)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return verify(a, n, manifest.Sum(h.Sum(nil)))
}
