// Package boot tells one run of the machine from the next: what ran before a restart is gone, and
// what was not synced may be.
package boot

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// Variable gives builds with the tag failpoints another boot's id, as if the machine had been
// started again.
const Variable = "CYCLOPS_BOOT_ID"

// ID returns the kernel's id of this boot, empty where the kernel does not say.
func ID() string {
	if failpoint.Enabled && os.Getenv(Variable) != "" {
		return os.Getenv(Variable)
	}
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

// Time returns when this boot began, to the second, by the wall clock as it is now.
func Time() (time.Time, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return time.Time{}, err
	}
	for line := range strings.Lines(string(data)) {
		if text, ok := strings.CutPrefix(line, "btime "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
			return time.Unix(n, 0), err
		}
	}
	return time.Time{}, errors.New("the kernel does not say when it was started")
}
