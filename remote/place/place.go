// Package place says where the client keeps its own files, following the XDG base directories.
package place

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/adrg/xdg"
)

// Dirs are the client's directories. Tests and the link pass their own.
type Dirs struct {
	Config  string // config.toml
	State   string // journal, client-id, known/, placed/, roots
	Cache   string // index/, partial/
	Data    string // shims/
	Runtime string // sockets of links; 0700
}

// Default returns the directories of this user.
func Default() Dirs {
	xdg.Reload()
	return Dirs{
		Config:  filepath.Join(xdg.ConfigHome, "cyclops"),
		State:   filepath.Join(xdg.StateHome, "cyclops"),
		Cache:   filepath.Join(xdg.CacheHome, "cyclops"),
		Data:    filepath.Join(xdg.DataHome, "cyclops"),
		Runtime: runtimeDir(),
	}
}

// runtimeDir avoids a runtime directory that does not exist, as in a shell without a login session.
func runtimeDir() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return filepath.Join(dir, "cyclops")
		}
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("cyclops-%d", os.Getuid()))
}
