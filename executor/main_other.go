//go:build !linux

package executor

import (
	"fmt"
	"os"
)

// Main says that executors run on Linux.
func Main([]string) int {
	fmt.Fprintln(os.Stderr, "cyclopsd: executors run on Linux; name a host with --host")
	return 1
}
