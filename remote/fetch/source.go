package fetch

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote/carry"
)

// File is an artifact's file as a Source opens it.
type File interface {
	io.ReaderAt
	io.Closer
}

// Source opens the files of a job. Paths are slash-separated and relative to the directory of the manifest. It is used
// by several goroutines at once.
type Source interface {
	Open(ctx context.Context, path string) (File, error)       // ctx is good for all that is read of it
	ReadLink(ctx context.Context, path string) (string, error) // where a symlink leads
	Width() int                                                // channels that carry bytes side by side
}

// SFTP reads a job's files over SFTP channels, and goes on where it stopped when the line broke.
type SFTP struct {
	dir      string
	channels *carry.Channels
}

// NewSFTP returns a source for the job whose manifest lies in dir on the host.
func NewSFTP(dir string, channels *carry.Channels) *SFTP { return &SFTP{dir, channels} }

// Width returns the number of channels.
func (s *SFTP) Width() int { return s.channels.Width() }

// Open opens a file on one of the channels.
func (s *SFTP) Open(ctx context.Context, p string) (File, error) {
	f, err := s.channels.Open(ctx, path.Join(s.dir, p))
	if err != nil {
		return nil, fmt.Errorf("unable to open %s on the host: %w", p, err)
	}
	return f, nil
}

// ReadLink returns where a symlink leads.
func (s *SFTP) ReadLink(ctx context.Context, p string) (string, error) {
	target, err := s.channels.ReadLink(ctx, path.Join(s.dir, p))
	if err != nil {
		return "", fmt.Errorf("unable to read the symlink %s on the host: %w", p, err)
	}
	return target, nil
}

// Close gives the channels up.
func (s *SFTP) Close() { s.channels.Close() }

// Local reads a job's files from a directory of this machine.
type Local string

// Width returns 1.
func (d Local) Width() int { return 1 }

// Open opens a file. Anything but a regular file is refused: a FIFO would wait for ever.
func (d Local) Open(ctx context.Context, p string) (File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(string(d), filepath.FromSlash(p)), os.O_RDONLY|nonBlock, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("unable to open %s: it is no file", p)
	}
	return f, nil
}

// ReadLink returns where a symlink leads.
func (d Local) ReadLink(ctx context.Context, p string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	target, err := os.Readlink(filepath.Join(string(d), filepath.FromSlash(p)))
	return filepath.ToSlash(target), err
}

// sourcePath checks where an artifact is said to lie: below the manifest, or, for a volatile one, in a workspace of the same
// data directory. A manifest from a stranger must not pick other files of this user's.
func sourcePath(a manifest.Artifact) error {
	p := a.Path
	if a.Volatile {
		p, _ = strings.CutPrefix(p, "../../workspaces/")
		if p == a.Path || !strings.Contains(p, "/") {
			p = ""
		}
	}
	if len(p) > 2*maxName || strings.ContainsRune(p, 0) || path.Clean(p) != p || p == "." || !filepath.IsLocal(filepath.FromSlash(p)) {
		return api.Errorf(api.Refused, "", "the manifest places it at %q, which is none of the job's files", a.Path)
	}
	return nil
}
