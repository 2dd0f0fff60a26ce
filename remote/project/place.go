package project

import (
	"fmt"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// SamePath says whether jobs see their workspace at the path that the tree has here.
type SamePath string

// The values of same_path; absent means SamePathAuto.
const (
	SamePathAuto    SamePath = "auto"    // where the host can
	SamePathRequire SamePath = "require" // or fail
	SamePathOff     SamePath = "off"
)

// Check refuses any other word; the empty one is the default.
func (s SamePath) Check() error {
	switch s {
	case "", SamePathAuto, SamePathRequire, SamePathOff:
		return nil
	}
	return fmt.Errorf("same_path %q is none of auto, require, off", string(s))
}

// Home says which home directory jobs get.
type Home string

// The values of home; absent means HomeUser.
const (
	HomeUser    Home = "user"    // the host user's own
	HomePrivate Home = "private" // an empty one of each job
)

// Check refuses any other word; the empty one is the default.
func (h Home) Check() error {
	switch h {
	case "", HomeUser, HomePrivate:
		return nil
	}
	return fmt.Errorf("home %q is none of user, private", string(h))
}

// Manifest returns what a job's document calls it.
func (h Home) Manifest() manifest.Home {
	if h == HomePrivate {
		return manifest.PrivateHome
	}
	return manifest.UserHome
}
