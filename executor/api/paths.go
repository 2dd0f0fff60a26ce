package api

import (
	"os"
	"path/filepath"
)

// MaxSocketPath is the longest path that fits a Unix socket's address on every system.
const MaxSocketPath = 103

// DefaultData returns the executor's data directory of this user: $CYCLOPS_DATA, else ~/.cyclops.
func DefaultData() (string, error) {
	if dir := os.Getenv("CYCLOPS_DATA"); dir != "" {
		return filepath.Abs(dir)
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".cyclops"), err
}

// Socket returns the path of the API's socket in a data directory.
func Socket(data string) string { return filepath.Join(data, "run", "cyclopsd.sock") }
