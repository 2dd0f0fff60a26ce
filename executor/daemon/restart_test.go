//go:build linux

package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/daemon"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/supervise"
	"github.com/cyclops-fpga/cyclops/manifest"
)

func TestRunningJobOutlivesItsDaemon(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 1\n")
	g := h.gate(job("", "w"))
	waiting := job("echo later", "w")
	h.submit(waiting, nil)
	h.halt()
	h.start()
	c := h.follow(api.Follow{Job: g.id, Log: true})
	c.await("the log so far", func() bool { return c.text(0) == "shut\n" })
	if c.state() != manifest.Running {
		t.Errorf("it is %s", c.state())
	}
	g.open()
	if err := c.drain(); err != nil || c.result.State != manifest.Succeeded || c.text(0) != "shut\nopen\n" {
		t.Errorf("got %v, %+v, %q", err, c.result, c.text(0))
	}
	next := h.follow(api.Follow{Job: waiting.ID, Log: true})
	if err := next.drain(); err != nil || next.text(0) != "later\n" {
		t.Errorf("the waiting one: %v, %q", err, next.text(0))
	}
}

func TestJobThatEndsWhileNoDaemonLooksIsTakenOver(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	g := h.gate(job("", "w"))
	pid := supervisorOf(t, h.data, g.id)
	h.halt()
	g.open()
	awaitExit(t, pid)
	h.start()
	if c := h.follow(api.Follow{Job: g.id}); c.drain() != nil || c.result.State != manifest.Succeeded {
		t.Errorf("got %+v", c.result)
	}
}

func TestKilledSupervisorMeansLost(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	g := h.gate(job("", "w"))
	if err := syscall.Kill(supervisorOf(t, h.data, g.id), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := g.drain(); err != nil || g.result.State != manifest.Lost || g.result.Reason == "" || g.text(0) != "shut\n" {
		t.Errorf("got %v, %+v, %q", err, g.result, g.text(0))
	}
	if info := h.show(g.id); info.State != manifest.Lost {
		t.Errorf("shown %+v", info)
	}
	h.run(job("true", "w"))
}

// supervisorOf asks a job's control socket who serves it.
func supervisorOf(t testing.TB, d layout.Data, id string) int {
	t.Helper()
	conn, err := supervise.Dial(t.Context(), d, id)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	f, err := api.ReadFrame(conn, nil)
	if err != nil {
		t.Fatal(err)
	}
	var hello api.ControlHello
	if err := f.JSON(&hello); err != nil {
		t.Fatal(err)
	}
	return hello.PID
}

func awaitExit(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || bytes.Contains(state, []byte(") Z ")) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d does not end", pid)
		}
	}
}

func TestHistoryIsRebuiltFromTheJobsDirectories(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	s := newTree(t, map[string]string{"in": "kept"})
	j := job("cat in; exit 5", "w")
	j.Name = "build"
	h.inline(j, s, nil, everything).drain()
	before := h.show(j.ID)
	h.halt()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		os.Remove(h.data.Database() + suffix)
	}
	h.start()
	after := h.show(j.ID)
	was, is := encode(t, before), encode(t, after)
	if !bytes.Equal(was, is) {
		t.Errorf("was %s\nis  %s", was, is)
	}
	again := job("cat in", "w")
	again.Input.Snapshot = s.root.Digest()
	if c := h.run(again); c.text(0) != "kept" {
		t.Errorf("the inputs are gone: %q", c.text(0))
	}
}

// TestDialStartsOneDaemon lets several clients come at once, as separate processes.
func TestDialStartsOneDaemon(t *testing.T) {
	t.Parallel()
	data := layout.Data(t.TempDir() + "/" + strings.Repeat("long", 30))
	t.Cleanup(func() { daemon.Stop(context.Background(), data) })
	var mu sync.Mutex
	pids := map[int]bool{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			hello, reply := dial(t, data, "GET /v1/hello HTTP/1.0\r\nCyclops-Api: 1\r\n\r\n")
			mu.Lock()
			defer mu.Unlock()
			if hello.Error != nil || hello.Status != nil || hello.Socket != "" || !strings.Contains(reply, "200 OK") {
				t.Errorf("got %+v, %q", hello, reply)
			}
			pids[hello.PID] = true
		})
	}
	wg.Wait()
	if len(pids) != 1 {
		t.Errorf("%d daemons answered", len(pids))
	}
	if was, err := daemon.Stop(t.Context(), data); !was || err != nil {
		t.Errorf("got %v, %v", was, err)
	}
	if was, err := daemon.Stop(t.Context(), data); was || err != nil {
		t.Errorf("again: got %v, %v", was, err)
	}
}

// dial runs `dial` as a client does, sends request and returns what came.
func dial(t *testing.T, data layout.Data, request string) (api.Hello, string) {
	t.Helper()
	argv := append(self(t), "dial", "--data", string(data))
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(request)
	out, _ := cmd.Output()
	line, rest, _ := bytes.Cut(out, []byte("\n"))
	var hello api.Hello
	if err := json.Unmarshal(line, &hello); err != nil {
		t.Errorf("dial said %q", out)
	}
	return hello, string(rest)
}

func TestDialSaysWhyThereIsNoDaemon(t *testing.T) {
	t.Parallel()
	data := layout.Data(t.TempDir())
	if err := os.WriteFile(data.Config(), []byte("slot = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hello, _ := dial(t, data, "")
	if hello.Error == nil || hello.Error.Kind != api.Usage || !strings.Contains(hello.Error.Message, "slot") || !strings.Contains(hello.Error.Hint, "slots") {
		t.Errorf("got %+v", hello.Error)
	}
}

func TestSecondDaemonIsRefused(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := daemon.Open(ctx, h.data, self(t)); api.KindOf(err) != api.Conflict {
		t.Errorf("got %v", err)
	}
}

func TestShutdownLetsFollowersGo(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	g := h.gate(job("", "w"))
	if err := h.call("POST", api.PathShutdown, nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, g.conn); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
	if err := <-h.left; err != nil {
		t.Error(err)
	}
	h.start()
	g.open()
	if c := h.follow(api.Follow{Job: g.id}); c.drain() != nil || c.result.State != manifest.Succeeded {
		t.Errorf("got %+v", c.result)
	}
}

// TestKilledDaemonLosesNothing kills a real daemon process under a running job.
func TestKilledDaemonLosesNothing(t *testing.T) {
	t.Parallel()
	h := &host{TB: t, data: layout.Data(t.TempDir())}
	t.Cleanup(func() { daemon.Stop(context.Background(), h.data) })
	h.ensure()
	first, err := daemon.Hello(t.Context(), h.data)
	if err != nil {
		t.Fatal(err)
	}
	g, waiting := h.gate(job("", "w")), job("echo later", "w")
	if h.submit(waiting, nil).drain() != nil {
		t.Fatal("the waiting job was refused")
	}
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	awaitExit(t, first.PID)
	h.ensure()
	c, next := h.follow(api.Follow{Job: g.id, Log: true}), h.follow(api.Follow{Job: waiting.ID, Log: true})
	g.open()
	if err := c.drain(); err != nil || c.text(0) != "shut\nopen\n" || c.result.State != manifest.Succeeded {
		t.Errorf("got %v, %q, %+v", err, c.text(0), c.result)
	}
	if err := next.drain(); err != nil || next.text(0) != "later\n" {
		t.Errorf("the waiting one: %v, %q", err, next.text(0))
	}
}

// ensure starts a daemon in a process of its own, unless one answers.
func (h *host) ensure() {
	h.Helper()
	if err := daemon.Ensure(h.Context(), h.data, self(h)); err != nil {
		h.Fatal(err)
	}
}
