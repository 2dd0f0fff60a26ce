//go:build linux

package daemon_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/daemon"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// digest reads a stream to its end and keeps nothing but what it comes to. It may run on any goroutine.
func (c *client) digest() (sum manifest.Sum, size int64, err error) {
	r := bufio.NewReader(c.conn)
	if _, err := http.ReadResponse(r, nil); err != nil {
		return sum, 0, err
	}
	h, buf := sha256.New(), make([]byte, 512<<10)
	for {
		f, err := api.ReadFrame(r, buf)
		if err != nil {
			return sum, size, err
		}
		switch f.Type {
		case api.FrameLog:
			chunk, err := f.Log()
			if err != nil {
				return sum, size, err
			}
			if chunk.Offset != size {
				return sum, size, fmt.Errorf("a chunk begins at %d, expected at %d", chunk.Offset, size)
			}
			h.Write(chunk.Data)
			size += int64(len(chunk.Data))
			if err := c.w.Offset(api.FrameLogAck, size, nil); err != nil {
				return sum, size, err
			}
		case api.FramePing:
			if err := c.w.Write(api.FramePong, f.Payload); err != nil {
				return sum, size, err
			}
		case api.FrameError:
			return sum, size, fmt.Errorf("the daemon says %s", f.Payload)
		case api.FrameEnd:
			return manifest.Sum(h.Sum(nil)), size, c.conn.Close()
		}
	}
}

// logOf returns the digest and the size that a manifest says of its job's log.
func (h *host) logOf(id string) (manifest.Digest, int64) {
	h.Helper()
	data, err := os.ReadFile(h.data.Manifest(id))
	if err != nil {
		h.Fatal(err)
	}
	m, err := manifest.DecodeManifest(data)
	if err != nil {
		h.Fatal(err)
	}
	i := slices.IndexFunc(m.Artifacts, func(a manifest.Artifact) bool { return a.Name == id+".log" })
	return m.Artifacts[i].Digest, m.Artifacts[i].Size
}

// awaiting is a shell's way to wait until a file is there.
func awaiting(file string) string { return "while ! test -e '" + file + "'; do sleep 0.01; done; " }

// TestWhoStopsReadingBlocksNobody: not even one that says that it has read all that is still to come.
func TestWhoStopsReadingBlocksNobody(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	g := filepath.Join(t.TempDir(), "go")
	j := job(awaiting(g)+"head -c 50000000 /dev/urandom", "w")
	c := h.submit(j, nil)
	if err := c.drain(); err != nil {
		t.Fatal(err)
	}
	silent, lying := h.follow(api.Follow{Job: j.ID, Log: true}), h.follow(api.Follow{Job: j.ID, Log: true})
	for _, c := range []*client{silent, lying} {
		c.await("it was told of the job", func() bool { return len(c.states) > 0 })
	}
	if err := lying.w.Offset(api.FrameLogAck, 1<<50, nil); err != nil {
		t.Fatal(err)
	}
	reader := h.follow(api.Follow{Job: j.ID, Log: true})
	for _, c := range []*client{silent, reader} {
		c.patient()
	}
	if err := os.WriteFile(g, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	sum, size, err := reader.digest()
	if want, all := h.logOf(j.ID); err != nil || sum.Digest() != want || size != all || size != 50_000_000 {
		t.Errorf("%d bytes of %d arrived, or others: %v", size, all, err)
	}
	if info := h.show(j.ID); info.State != manifest.Succeeded {
		t.Errorf("%s: %s", info.State, info.Reason)
	}
	h.run(job("true", "w")) // while nobody reads still
	if err := silent.drain(); err != nil || int64(len(silent.text(0))) != size {
		t.Errorf("who reads again got %d bytes: %v", len(silent.text(0)), err)
	}
}

func TestTwoHundredWatchersOfOneJob(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	const size = 3_000_000
	g := h.gate(job("", "w"))
	j := job(fmt.Sprintf("head -c %d /dev/urandom; sleep 0.1; head -c %d /dev/urandom", size, size), "w") // waits for the gate
	if err := h.submit(j, nil).drain(); err != nil {
		t.Fatal(err)
	}
	type got struct {
		sum  manifest.Sum
		size int64
	}
	all := make([]got, 200)
	var group errgroup.Group
	for i := range all {
		c := h.follow(api.Follow{Job: j.ID, Log: true})
		c.patient()
		group.Go(func() (err error) {
			all[i].sum, all[i].size, err = c.digest()
			return err
		})
	}
	g.open()
	if err := g.drain(); err != nil {
		t.Fatal(err)
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	want, n := h.logOf(j.ID)
	for i, w := range all {
		if w.sum.Digest() != want || w.size != n || n != 2*size {
			t.Errorf("watcher %d got %d bytes of %d, or others", i, w.size, n)
		}
	}
}

func TestFiftySubmittersAtOnce(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 8\n")
	ran := filepath.Join(t.TempDir(), "ran")
	newJob := func() *manifest.Job {
		j := job("", "w")
		j.Workspace = manifest.Workspace{Name: "w", Mode: manifest.Isolated}
		j.Steps[0].Run = "echo " + j.ID + " >> " + ran
		return j
	}
	same := newJob()
	jobs := []*manifest.Job{same}
	for range 25 {
		jobs = append(jobs, newJob())
	}
	var mu sync.Mutex
	first := map[string]int{}
	var group errgroup.Group
	for i := range 50 {
		j := same
		if i%2 == 0 {
			j = jobs[1+i/2]
		}
		c := h.stream()
		document := encode(t, j)
		group.Go(func() error {
			if err := c.w.JSON(api.FrameSubmit, api.Submit{Job: document}); err != nil {
				return err
			}
			again, err := c.acceptance(j.ID)
			mu.Lock()
			defer mu.Unlock()
			if !again {
				first[j.ID]++
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		if first[j.ID] != 1 {
			t.Errorf("job %s was accepted %d times", j.ID, first[j.ID])
		}
		if err := h.follow(api.Follow{Job: j.ID}).drain(); err != nil {
			t.Error(err)
		}
	}
	text, err := os.ReadFile(ran)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(text))
	slices.Sort(lines)
	if len(lines) != len(jobs) || len(slices.Compact(lines)) != len(jobs) {
		t.Errorf("%d jobs ran %d times", len(jobs), len(lines))
	}
}

// acceptance reads the answer to a Submit without a Follow. It may run on any goroutine.
func (c *client) acceptance(id string) (again bool, err error) {
	r := bufio.NewReader(c.conn)
	if _, err := http.ReadResponse(r, nil); err != nil {
		return false, err
	}
	f, err := api.ReadFrame(r, nil)
	for err == nil && f.Type == api.FramePong { // a submit that takes long is being worked on
		f, err = api.ReadFrame(r, nil)
	}
	if err != nil {
		return false, err
	}
	var a api.Accepted
	if err := f.JSON(&a); err != nil || f.Type != api.FrameAccepted || a.Job.ID != id {
		return false, fmt.Errorf("answered by frame %d %s: %w", f.Type, f.Payload, err)
	}
	return a.Again, c.conn.Close()
}

// TestMemoryDoesNotGrowWithTheLog looks at a real daemon and its supervisors.
func TestMemoryDoesNotGrowWithTheLog(t *testing.T) {
	t.Parallel()
	h := &host{TB: t, data: layout.Data(t.TempDir())}
	t.Cleanup(func() {
		if _, err := daemon.Stop(context.Background(), h.data); err != nil {
			t.Error(err)
		}
	})
	h.ensure()
	hello, err := daemon.Hello(t.Context(), h.data)
	if err != nil {
		t.Fatal(err)
	}
	follow := func(size int64) (daemonPeak, supervisorPeak int64) {
		g := filepath.Join(t.TempDir(), "gate")
		j := job(fmt.Sprintf("head -c %d /dev/zero; ", size)+awaiting(g), "w")
		if err := h.submit(j, nil).drain(); err != nil {
			t.Fatal(err)
		}
		c := h.follow(api.Follow{Job: j.ID, Log: true})
		c.patient()
		var group errgroup.Group
		group.Go(func() error {
			_, n, err := c.digest()
			if err == nil && n != size {
				err = fmt.Errorf("%d bytes of %d arrived", n, size)
			}
			return err
		})
		for deadline := time.Now().Add(time.Minute); h.show(j.ID).LogSize < size; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the log does not grow")
			}
		}
		supervisorPeak = peakOf(t, supervisorOf(t, h.data, j.ID))
		if err := os.WriteFile(g, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		return peakOf(t, hello.PID), supervisorPeak
	}
	const bound = 24 << 20
	daemonSmall, supervisorSmall := follow(10_000_000)
	daemonLarge, supervisorLarge := follow(500_000_000)
	if daemonLarge-daemonSmall > bound || supervisorLarge-supervisorSmall > bound {
		t.Errorf("at most %d and %d bytes for a small log, %d and %d for a large one", daemonSmall, supervisorSmall, daemonLarge, supervisorLarge)
	}
	t.Logf("daemon %d → %d KiB, supervisor %d → %d KiB", daemonSmall>>10, daemonLarge>>10, supervisorSmall>>10, supervisorLarge>>10)
}

// peakOf returns the largest resident set that a process had, in bytes.
func peakOf(t testing.TB, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatalf("process %d says no peak", pid)
	return 0
}
