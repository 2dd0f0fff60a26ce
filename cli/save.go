package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// saveAs makes a new file that is whole or not there: half a log under its name looks like all of it.
// What is at that name already, or comes there meanwhile, stays.
func saveAs(path string, write func(w io.Writer) error) error {
	if _, err := os.Lstat(path); err == nil {
		return isThere(path)
	}
	temp := fmt.Sprintf("%s.%08x", path, rand.Uint32())
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return api.Errorf(api.Usage, "choose another name", "unable to save: %w", err)
	}
	err = errors.Join(write(f), f.Close())
	if err == nil {
		err = giveName(temp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return nil
}

// giveName gives a file its name, which nothing may have had. Where files have no second names, what
// came to that name within a moment is replaced.
func giveName(temp, path string) error {
	switch err := os.Link(temp, path); {
	case err == nil:
		return os.Remove(temp)
	case errors.Is(err, fs.ErrExist):
		return isThere(path)
	}
	if _, err := os.Lstat(path); err == nil {
		return isThere(path)
	}
	return os.Rename(temp, path)
}

func isThere(path string) error {
	return api.Errorf(api.Usage, "choose another name", "unable to save: %s is there already", path)
}
