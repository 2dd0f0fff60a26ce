//go:build linux

package serve

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// artifactPiece is how many bytes of an artifact ride in one frame.
const artifactPiece = 256 << 10

// tellArtifacts pushes the outputs that come back by themselves, the smallest first, as many as
// the client asked for. The others it fetches.
func (f *follower) tellArtifacts(data []byte) error {
	if f.want.Artifacts == 0 {
		return nil
	}
	m, err := manifest.DecodeManifest(data)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(f.s.Data.Job(f.want.Job))
	if err != nil {
		return fmt.Errorf("unable to send artifacts: %w", err)
	}
	defer root.Close()
	left := f.want.Artifacts
	for _, a := range pushed(m) {
		if left -= a.Size; left < 0 {
			return nil
		}
		if err := f.tellArtifact(root, a); err != nil {
			return err
		}
	}
	return nil
}

func pushed(m *manifest.Manifest) []manifest.Artifact {
	wanted := slices.DeleteFunc(slices.Clone(m.Artifacts), func(a manifest.Artifact) bool {
		return !a.Fetch || !a.Fresh || a.Volatile || a.Kind == manifest.KindSymlink
	})
	slices.SortStableFunc(wanted, func(a, b manifest.Artifact) int { return cmp.Compare(a.Size, b.Size) })
	return wanted
}

func (f *follower) tellArtifact(root *os.Root, a manifest.Artifact) error {
	file, err := root.Open(a.Path)
	if err != nil {
		return nil // the client sees that it did not come and says why when it fetches it
	}
	defer file.Close()
	if err := f.w.JSON(api.FrameArtifactStart, api.ArtifactStart{Name: a.Name, Size: a.Size}); err != nil {
		return err
	}
	buf := make([]byte, min(artifactPiece, max(a.Size, 1)))
	for r := io.LimitReader(file, a.Size); ; {
		n, err := r.Read(buf)
		if n > 0 {
			if err := f.w.Write(api.FrameArtifactData, buf[:n]); err != nil {
				return err
			}
			f.alive() // it has nothing to say while it hears this, and a line that carries nothing ends in the write
		}
		if err == io.EOF {
			return f.w.Write(api.FrameArtifactEnd)
		}
		if err != nil {
			return fmt.Errorf("unable to read artifact %s: %w", a.Name, err)
		}
	}
}
