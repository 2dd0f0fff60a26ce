//go:build linux

package supervise

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// newSmallBench has a data directory with room for few bytes.
func newSmallBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.data = layout.Data(filepath.Join(smallDisk(t), "data"))
	if err := b.data.Create(); err != nil {
		t.Fatal(err)
	}
	return b
}

// smallDisk is a file system with room for few bytes.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "small")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a small file system can be mounted by root only: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestAFullDiskCostsOutputAndSaysSo(t *testing.T) {
	t.Parallel()
	j, m := newSmallBench(t).run(sh("echo first; head -c 5000000 /dev/zero; echo second"))
	if m.State != manifest.Succeeded || m.ExitCode == nil || *m.ExitCode != 0 {
		t.Errorf("%s: %s", m.State, m.Reason)
	}
	if !strings.Contains(m.Reason, "no space left") {
		t.Errorf("reason is %q", m.Reason)
	}
	if !strings.HasPrefix(j.text(0), "first\n") || m.Usage.LogBytes != int64(len(j.text(0))) {
		t.Errorf("log has %d bytes, the manifest says %d", len(j.text(0)), m.Usage.LogBytes)
	}
}

func TestWhatWasLostIsMarkedInTheLog(t *testing.T) {
	t.Parallel()
	b := newSmallBench(t)
	hog := filepath.Join(string(b.data), "hog")
	j, m := b.run(sh("head -c 3000000 /dev/zero > " + hog + "; echo lost; head -c 800000 /dev/zero; rm " + hog + "; sleep 0.1; echo back"))
	wantExit(t, m, manifest.Succeeded, 0)
	if text := j.text(0); !strings.Contains(text, "bytes of output are missing here") || !strings.HasSuffix(text, "back\n") {
		t.Errorf("log ends with %q", text[max(0, len(text)-200):])
	}
}

func TestAJobThatFillsTheDiskIsRecorded(t *testing.T) {
	t.Parallel()
	b := newSmallBench(t)
	j, m := b.run(sh("cat /dev/zero > " + filepath.Join(string(b.data), "hog") + "; echo lost; exit 4"))
	wantExit(t, m, manifest.Failed, 4)
	if !strings.Contains(m.Reason, "no space left") || j.text(0) != "" {
		t.Errorf("reason %q, log %q", m.Reason, j.text(0))
	}
}

// What is left of a job's log must be in its only record, even if that has to wait.
func TestALostJobKeepsItsLogThoughTheDiskIsFull(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t)
	j := newBench(t).make(sh("true"))
	index := filepath.Join(disk, "log.idx")
	if err := errors.Join(os.WriteFile(j.data.Log(j.ID), []byte("all that it wrote\n"), 0o600), os.Symlink(index, j.data.LogIndex(j.ID))); err != nil {
		t.Fatal(err)
	}
	hog := filepath.Join(disk, "hog")
	if err := os.WriteFile(hog, make([]byte, 2<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	if m, err := RecordLost(j.launch, nil, "a test killed it", false); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("recorded as %+v, %v", m, err)
	}
	if _, err := os.Lstat(j.data.Manifest(j.ID)); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("there is a record: %v", err)
	}
	if err := os.Remove(hog); err != nil {
		t.Fatal(err)
	}
	m, err := RecordLost(j.launch, nil, "a test killed it", false)
	if err != nil {
		t.Fatal(err)
	}
	if log := artifact(m, j.ID+".log"); log == nil || log.Digest != manifest.SumOf([]byte("all that it wrote\n")).Digest() || m.Usage.LogBytes != log.Size {
		t.Errorf("its record has %+v, %d bytes of log", m.Artifacts, m.Usage.LogBytes)
	}
	if m.Reason != "a test killed it" {
		t.Errorf("reason is %q", m.Reason)
	}
}

// longNames writes n outputs whose names alone make a record for which no room is kept.
func longNames(n int) func(*manifest.Job) {
	return func(j *manifest.Job) {
		sh(fmt.Sprintf("for i in $(seq 1000 %d); do f=$(printf '%%0200d' $i).log; echo $i > $f || break; done; true", 999+n))(j)
		j.Outputs = manifest.Outputs{Fetch: []string{"*.log"}}
	}
}

// A record that finds no room costs the copies of the outputs, not what it says of them.
func TestOutputsThatMakeRoomForTheRecordAreStillListed(t *testing.T) {
	t.Parallel()
	const outputs = 140
	j, m := newSmallBench(t).run(longNames(outputs))
	if m.State != manifest.Succeeded || !strings.Contains(m.Reason, "the outputs stay in the workspace") {
		t.Errorf("%s: %s", m.State, m.Reason)
	}
	if _, err := os.Lstat(j.data.Artifacts(j.ID)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("copies are left: %v", err)
	}
	if len(m.Artifacts) != outputs+2 {
		t.Fatalf("%d artifacts are listed", len(m.Artifacts))
	}
	for _, a := range m.Artifacts {
		data, err := os.ReadFile(filepath.Join(j.data.Job(j.ID), filepath.FromSlash(a.Path)))
		if err != nil || manifest.SumOf(data).Digest() != a.Digest || a.Volatile == a.OwnLog() || !a.OwnLog() && a.Fetch {
			t.Fatalf("%+v: %d bytes, %v", a, len(data), err)
		}
	}
}

func TestARecordWithoutRoomForItsOutputsIsWrittenWithoutThem(t *testing.T) {
	t.Parallel()
	j, m := newSmallBench(t).run(longNames(1000))
	if m.State != manifest.Succeeded || !strings.Contains(m.Reason, "the outputs are not listed") || strings.Contains(m.Reason, "stay in the workspace, to") {
		t.Errorf("%s: %s", m.State, m.Reason)
	}
	if len(m.Artifacts) != 2 || artifact(m, j.ID+".log") == nil {
		t.Errorf("%d artifacts are listed", len(m.Artifacts))
	}
}
