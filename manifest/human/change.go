package human

import "github.com/cyclops-fpga/cyclops/manifest"

// Change says how large an artifact is or was, and what became of it.
func Change(c *manifest.Change) (size, then string) {
	switch {
	case c.Old == nil:
		return Size(c.New.Size), ""
	case c.New == nil:
		return Size(c.Old.Size), ""
	}
	was, is := Size(c.Old.Size), Size(c.New.Size)
	if was == is {
		return is, ", " + c.Inside()
	}
	return was, " → " + is
}
