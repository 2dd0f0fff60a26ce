//go:build linux

package workspace

import (
	"errors"

	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// Inputs knows what the last apply left in a workspace.
type Inputs struct{}

// LoadInputs reads what the last apply of this boot recorded.
func LoadInputs(data layout.Data, name string) (*Inputs, error) { return nil, errors.ErrUnsupported }

// Input returns the input at a slash-separated path.
func (in *Inputs) Input(path string) (snapshot.Entry, bool) { return snapshot.Entry{}, false }

// Remove deletes a workspace with all that belongs to it and returns how many bytes that freed. No
// job may be using it. A workspace that is not there is no error.
func Remove(data layout.Data, name string) (freed int64, err error) {
	return 0, errors.ErrUnsupported
}
