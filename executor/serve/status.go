//go:build linux

package serve

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/layout"
)

// fillStatus adds what the system knows of its load. What cannot be read stays zero.
func fillStatus(s *api.Status, d layout.Data) {
	var fs unix.Statfs_t
	if unix.Statfs(string(d), &fs) == nil {
		s.DiskFree = int64(fs.Bavail) * int64(fs.Bsize)
		s.DiskTotal = int64(fs.Blocks) * int64(fs.Bsize)
	}
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return
	}
	first, _, _ := strings.Cut(string(data), " ")
	if load, err := strconv.ParseFloat(first, 64); err == nil {
		s.Load = load
	}
}
