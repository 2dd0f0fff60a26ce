//go:build linux

package supervise

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// onFirstThread runs do on the thread that makes the process what it is.
func onFirstThread(t *testing.T, do func()) {
	t.Helper()
	found, release := make(chan bool), make(chan struct{})
	defer close(release)
	for late := time.After(patience); ; {
		go func() { // each holds a thread, until the first is among them
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			first := unix.Gettid() == unix.Getpid()
			if first {
				do()
			}
			found <- first
			<-release
		}()
		select {
		case first := <-found:
			if first {
				return
			}
		case <-late:
			t.Fatal("no goroutine came to the first thread")
		}
	}
}

// The kernel would kill the supervisor for the memory of a step that is quicker than its way back.
func TestTheSupervisorStaysOutOfItsJobsGroup(t *testing.T) {
	t.Parallel()
	file := func(name string) *os.File {
		f, err := os.Create(filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	g := &cgroup{entries: []entry{{file("in"), file("out")}}}
	onFirstThread(t, func() {
		if err := g.inside(func() error {
			if unix.Gettid() == unix.Getpid() {
				t.Error("its first thread is in the group")
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
}
