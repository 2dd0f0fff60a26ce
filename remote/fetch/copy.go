package fetch

import (
	"context"
	"crypto/sha256"
	"io"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
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

// Verify compares one artifact with the manifest. A symlink has its target for bytes: read through, it would show those
// of another file, or none.
func Verify(ctx context.Context, src Source, a manifest.Artifact) error {
	if a.Kind != manifest.KindSymlink {
		return Copy(ctx, src, a, io.Discard)
	}
	if err := sourcePath(a); err != nil {
		return err
	}
	target, err := src.ReadLink(ctx, a.Path)
	if err != nil {
		return err
	}
	if target != a.Target {
		return api.Errorf(api.Corrupt, "", "it leads to %q, not to %q", target, a.Target)
	}
	return verify(a, int64(len(target)), manifest.SumOf([]byte(target)))
}

// Peek returns the first bytes of one artifact, unverified: a digest is of the whole.
func Peek(ctx context.Context, src Source, a manifest.Artifact, most int64) ([]byte, error) {
	if err := sourcePath(a); err != nil {
		return nil, err
	}
	f, err := src.Open(ctx, a.Path)
	if err != nil {
		return nil, readFailed(a, err)
	}
	defer f.Close()
	data := make([]byte, min(max(a.Size, 0), most))
	n, err := f.ReadAt(data, 0)
	if err != nil && err != io.EOF {
		return nil, readFailed(a, err)
	}
	return data[:n], nil
}

// Literal is the pattern that only name matches.
func Literal(name string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`, "{", `\{`, "}", `\}`).Replace(name)
}
