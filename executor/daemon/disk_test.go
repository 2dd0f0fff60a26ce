//go:build linux

package daemon_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/daemon"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// newSmallHost has its data in a file system of its own, of few megabytes unless the options say otherwise.
func newSmallHost(t *testing.T, options ...string) *host {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, strings.Join(append([]string{"size=8m"}, options...), ",")); err != nil {
		t.Skipf("a small file system can be mounted by root only: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	h := &host{TB: t, data: layout.Data(filepath.Join(dir, "data"))}
	if err := h.data.Create(); err != nil {
		t.Fatal(err)
	}
	h.start()
	t.Cleanup(func() {
		h.cancelAll()
		h.halt()
	})
	return h
}

// fill writes until nothing fits any more.
func (h *host) fill() (remove func()) {
	h.Helper()
	path := filepath.Join(string(h.data), "hog")
	f, err := os.Create(path)
	if err != nil {
		h.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{64 << 10, 512} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
	return func() { os.Remove(path) }
}

func TestOnAFullDiskJobsAreRefusedRemovedAndTakenAgain(t *testing.T) {
	t.Parallel()
	h := newSmallHost(t)
	old, g := h.run(job("echo old", "w")), h.gate(job("", "w"))
	waiting := h.submit(job("echo waited", "w"), everything)
	empty := h.fill()
	c := h.stream()
	c.send(api.FrameSubmit, api.Submit{Job: encode(h, job("true", "v"))})
	if err := c.drain(); err == nil || err.Kind != api.NoSpace || !strings.Contains(err.Hint, "cyclops rm") {
		t.Errorf("a job on a full disk: %+v", err)
	}
	g.open()
	if err := g.drain(); err != nil || g.result.State != manifest.Succeeded {
		t.Errorf("the one that ran: %v, %+v", err, g.result)
	}
	if err := h.call("DELETE", "/v1/jobs/"+old.accepted.Job.ID, nil, nil); err != nil {
		t.Errorf("rm: %+v", err)
	}
	empty()
	if err := waiting.drain(); err != nil || waiting.text(0) != "waited\n" {
		t.Errorf("the one that waited: %v, %q, %+v", err, waiting.text(0), waiting.result)
	}
	if c := h.run(job("echo again", "v")); c.text(0) != "again\n" {
		t.Errorf("the next one: %q", c.text(0))
	}
	if info, err := os.Stat(h.data.Reserve()); err != nil || info.Size() == 0 {
		t.Errorf("the reserve: %v", err)
	}
}

// immutableFlag is FS_IMMUTABLE_FL of linux/fs.h, which chattr +i sets.
const immutableFlag = 0x10

// immutable keeps every name in a directory as it is, as a file system that was remounted read-only does.
func immutable(t *testing.T, dir string, on bool) {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if on {
		flags |= immutableFlag
	} else {
		flags &^= immutableFlag
	}
	if err == nil {
		err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags)
	}
	if err != nil {
		t.Skipf("%s cannot be made immutable here: %v", dir, err)
	}
}

// A disk that takes nothing for a while must not cost how a job ended.
func TestARecordWaitsForADiskThatTakesNone(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	gate := filepath.Join(t.TempDir(), "gate")
	if err := unix.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	c := h.submit(job("echo begun; cat "+gate+"; exit 7", "w"), everything)
	c.await("its begin", func() bool { return c.text(0) == "begun\n" })
	dir := h.data.Job(c.accepted.Job.ID)
	t.Cleanup(func() { immutable(t, dir, false) })
	immutable(t, dir, true)
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.await("word of the disk", func() bool {
		return len(c.states) > 0 && c.states[len(c.states)-1].Phase == api.PhaseRecording
	})
	c.await("the warning", func() bool { return len(c.states[len(c.states)-1].Warnings) > 0 })
	if warnings := c.states[len(c.states)-1].Warnings; !strings.Contains(warnings[0], "waits for the host's disk") {
		t.Errorf("warnings: %q", warnings)
	}
	immutable(t, dir, false)
	if err := c.drain(); err != nil || c.result.State != manifest.Failed || c.result.ExitCode == nil || *c.result.ExitCode != 7 {
		t.Errorf("got %v, %+v", err, c.result)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*.part"))
	if len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

// A daemon that was killed must come back on a disk that is full, or nobody could free any of it.
func TestADaemonStartsOnAFullDisk(t *testing.T) {
	t.Parallel()
	h := newSmallHost(t)
	old := h.run(job("echo old", "w"))
	h.halt()
	empty := h.fill()
	defer empty()
	h.start()
	if err := h.call("DELETE", "/v1/jobs/"+old.accepted.Job.ID, nil, nil); err != nil {
		t.Errorf("rm: %+v", err)
	}
}

func TestADaemonSaysThatItsDiskIsReadOnly(t *testing.T) {
	t.Parallel()
	h := newSmallHost(t)
	h.halt()
	disk := filepath.Dir(string(h.data))
	for _, flags := range []uintptr{unix.MS_RDONLY, 0} {
		if err := unix.Mount("", disk, "", unix.MS_REMOUNT|flags, "size=8m"); err != nil {
			t.Fatal(err)
		}
		hello, _ := dial(t, h.data, "")
		if said := hello.Error != nil && strings.Contains(hello.Error.Message, "read-only") && hello.Error.Hint != ""; said != (flags != 0) {
			t.Errorf("with flags %d: %+v", flags, hello.Error)
		}
	}
	if _, err := daemon.Stop(t.Context(), h.data); err != nil {
		t.Error(err)
	}
	h.start()
}
