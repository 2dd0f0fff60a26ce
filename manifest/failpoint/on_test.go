//go:build failpoints && unix

package failpoint

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) {
	if os.Getenv("FAILPOINT_ROLE") == "" {
		os.Exit(m.Run())
	}
	for range 3 {
		switch err := At(LogWrite); {
		case errors.Is(err, syscall.EIO):
			fmt.Print("eio ")
		case errors.Is(err, syscall.ENOSPC):
			fmt.Print("enospc ")
		case err == nil:
			fmt.Print("done ")
		}
	}
}

// strike runs three steps in a process of its own.
func strike(t *testing.T, faults string) (said, logged string, state *os.ProcessState) {
	t.Helper()
	log := t.TempDir() + "/log"
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "FAILPOINT_ROLE=1", Variable+"="+faults, LogVariable+"="+log)
	out, _ := cmd.Output()
	data, err := os.ReadFile(log)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out)), string(data), cmd.ProcessState
}

func TestFaultsStrikeWhenTheyAreSet(t *testing.T) {
	t.Parallel()
	for faults, want := range map[string]string{
		"":                                "done done done",
		"log.write=eio":                   "eio done done",
		"log.write=enospc@2":              "done enospc done",
		"log.write=eio@*":                 "eio eio eio",
		"log.index=eio,log.write=eio@3":   "done done eio",
		"*=enospc":                        "enospc enospc enospc",
		"log.write=crash@3":               "done done",
		"log.write=trace@2, log.sync=eio": "done done done",
	} {
		said, logged, state := strike(t, faults)
		if said != want {
			t.Errorf("%q: %q, want %q", faults, said, want)
		}
		if strikes := strings.Count(logged, " log.write "); faults != "" && strikes == 0 {
			t.Errorf("%q: the log is %q", faults, logged)
		}
		if killed := state.Sys().(syscall.WaitStatus).Signaled(); killed != strings.Contains(faults, "crash") {
			t.Errorf("%q: %v", faults, state)
		}
	}
}
