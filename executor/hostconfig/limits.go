package hostconfig

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/cyclops-fpga/cyclops/manifest/human"
)

// Limits is what each job may use; nil: as much as there is.
type Limits struct {
	Processes *int         `toml:"processes"` // threads count too; set when loaded
	Memory    *human.Bytes `toml:"memory"`
	Log       *human.Bytes `toml:"log"`
	Output    *human.Bytes `toml:"output"` // that is copied into the job's record
}

// The least that a limit may be: below, no tool would start, and every job would fail for a typing error.
const (
	leastProcesses = 16
	leastMemory    = 4 << 20
)

func (l *Limits) check() error {
	if l.Processes != nil && *l.Processes < leastProcesses {
		return fmt.Errorf("limits.processes = %d is less than %d", *l.Processes, leastProcesses)
	}
	for _, size := range []struct {
		name  string
		value *human.Bytes
		least int64
	}{{"memory", l.Memory, leastMemory}, {"log", l.Log, 1}, {"output", l.Output, 1}} {
		if size.value != nil && int64(*size.value) < size.least {
			return fmt.Errorf("limits.%s = %q is less than %d bytes; without the key there is no limit", size.name, human.Size(int64(*size.value)), size.least)
		}
	}
	return nil
}

// The bounds of the processes that a job may have where the config does not say. A build of thousands
// is still let go on; more of them runnable than the upper bound, and the host answers no more though
// the kernel could number them.
const (
	mostByDefault   = 4096
	fewestByDefault = 512
)

// defaultProcesses is a slot's share of half of what the kernel can number: should every job run
// wild at once, the other half is still there to log in and end them.
func defaultProcesses(slots int) int {
	kernel := min(readInt("/proc/sys/kernel/pid_max"), readInt("/proc/sys/kernel/threads-max"))
	return min(max(kernel/2/slots, fewestByDefault), mostByDefault)
}

// readInt returns the number that a file of the kernel's holds, a small kernel's where it cannot be read.
func readInt(path string) int {
	data, err := os.ReadFile(path)
	if err != nil {
		return 1 << 15
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 1 << 15
	}
	return n
}
