//go:build failpoints && unix

package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Enabled tells whether this build can be made to fail.
const Enabled = true

// Variable holds the faults of a process and of those that it starts, as POINT=FAULT or
// POINT=FAULT@N for the Nth time that the point is reached, separated by commas. Without N a fault
// strikes at the first time; with @* every time; with @once at the first time of all the processes that
// share the log. The point * stands for every one.
const Variable = "CYCLOPS_FAILPOINTS"

// LogVariable names a file that gets a line "TIME PID POINT FAULT" for each fault that strikes.
const LogVariable = "CYCLOPS_FAILPOINTS_LOG"

// The faults.
const (
	Crash  = "crash"  // the process gets SIGKILL
	Pause  = "pause"  // the process gets SIGSTOP, and goes on with SIGCONT
	EIO    = "eio"    // the step fails with an I/O error
	ENOSPC = "enospc" // the step fails because the disk is full
	Trace  = "trace"  // nothing happens but the line in the log
)

// armed is one fault that waits for its time.
type armed struct {
	point Point
	fault string
	at    int // 0: every time
	once  bool
}

type faults struct {
	mu      sync.Mutex
	armed   []armed
	reached map[Point]int
	log     string
}

// ours is read once: a process's faults are set when it starts.
var ours = sync.OnceValue(func() *faults {
	return &faults{armed: parse(os.Getenv(Variable)), reached: map[Point]int{}, log: os.Getenv(LogVariable)}
})

func parse(text string) []armed {
	var all []armed
	for word := range strings.SplitSeq(text, ",") {
		point, rest, ok := strings.Cut(strings.TrimSpace(word), "=")
		if !ok {
			continue
		}
		fault, times, counted := strings.Cut(rest, "@")
		a := armed{point: Point(point), fault: fault, at: 1}
		if n, err := strconv.Atoi(times); counted && err == nil {
			a.at = n
		} else if times == "once" {
			a.once = true
		} else if counted || point == "*" {
			a.at = 0
		}
		all = append(all, a)
	}
	return all
}

// At lets a fault strike, if one is set for this point now, and returns the error that takes the
// place of the step.
func At(p Point) error {
	f := ours()
	if len(f.armed) == 0 {
		return nil
	}
	for _, fault := range f.due(p) {
		if err := f.strike(p, fault); err != nil {
			return err
		}
	}
	return nil
}

// Do does one step, unless a fault is set for it.
func Do(p Point, step func() error) error {
	if err := At(p); err != nil {
		return err
	}
	return step()
}

func (f *faults) due(p Point) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reached[p]++
	var due []string
	for _, a := range f.armed {
		if (a.point == p || a.point == "*") && (a.at == 0 || a.at == f.reached[p]) && !(a.once && f.struck(p, a.fault)) {
			due = append(due, a.fault)
		}
	}
	return due
}

func (f *faults) strike(p Point, fault string) error {
	f.note(p, fault)
	switch fault {
	case Crash:
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case Pause:
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case EIO:
		return fmt.Errorf("%s: %w", p, syscall.EIO)
	case ENOSPC:
		return fmt.Errorf("%s: %w", p, syscall.ENOSPC)
	}
	return nil
}

// struck tells whether the log has a fault already.
func (f *faults) struck(p Point, fault string) bool {
	log, err := os.ReadFile(f.log)
	return err == nil && strings.Contains(string(log), fmt.Sprintf(" %s %s\n", p, fault))
}

// note writes the line before the fault strikes: a process that is killed writes none behind it.
func (f *faults) note(p Point, fault string) {
	if f.log == "" {
		return
	}
	log, err := os.OpenFile(f.log, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return
	}
	defer log.Close()
	fmt.Fprintf(log, "%d %d %s %s\n", time.Now().UnixNano(), os.Getpid(), p, fault)
}
