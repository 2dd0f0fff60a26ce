//go:build linux

package inputs

import (
	"errors"
	"fmt"
	"os"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// MaxInline bounds a pack that rides in a request, in bytes; a larger one is uploaded.
const MaxInline = 16 << 20

// Spool takes in the pack that rides in a request, in pieces.
type Spool struct {
	file *os.File
	size int64
}

// NewSpool returns an empty Spool.
func (in *Inputs) NewSpool() (*Spool, error) {
	if err := failpoint.At(failpoint.SpoolCreate); err != nil {
		return nil, fmt.Errorf("unable to take in pack: %w", err)
	}
	f, err := os.CreateTemp(in.data.Incoming(), "inline-*")
	if err != nil {
		return nil, fmt.Errorf("unable to take in pack: %w", err)
	}
	return &Spool{file: f}, nil
}

// Write adds a piece.
func (s *Spool) Write(p []byte) (int, error) {
	if s.size += int64(len(p)); s.size > MaxInline {
		return 0, api.Errorf(api.Invalid, "", "a pack of more than %d bytes must be uploaded", MaxInline)
	}
	if err := failpoint.At(failpoint.SpoolWrite); err != nil {
		return 0, fmt.Errorf("unable to take in pack: %w", err)
	}
	n, err := s.file.Write(p)
	if err != nil {
		return n, fmt.Errorf("unable to take in pack: %w", err)
	}
	return n, nil
}

// Close ends the pack and returns its file's path.
func (s *Spool) Close() (string, error) { return s.file.Name(), s.file.Close() }

// Discard gives the pack up. Its file may have been taken meanwhile; one that stays is swept
// when its time is up.
func (s *Spool) Discard() { _ = errors.Join(s.file.Close(), os.Remove(s.file.Name())) }
