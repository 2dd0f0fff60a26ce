//go:build linux

package daemon_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// futureRole has the test binary stand in for a supervisor of a later version.
const futureRole = "future"

// future answers at the socket args[0] with the first frame that the file args[2] holds, and for the rest is the
// supervisor at the socket args[1]: it goes when that one goes, and ends its job when it gets TERM.
func future(args []string) int {
	hello, err := os.ReadFile(args[2])
	if err != nil {
		return fail(err)
	}
	real, err := net.Dial("unix", args[1])
	if err != nil {
		return fail(err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: args[0], Net: "unix"})
	if err != nil {
		return fail(err)
	}
	l.SetUnlinkOnClose(false)
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		for range term {
			_ = api.NewFrameWriter(real).JSON(api.FrameCancel, api.CancelRequest{Reason: "it got TERM", GraceSecs: 0.1})
		}
	}()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write(hello) // it stays open until this process goes
		}
	}()
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, real)
	return 0
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// replaceSupervisor puts one of a later version between the daemon and the supervisor of a job.
func (h *host) replaceSupervisor(id, hello string) {
	h.Helper()
	if err := os.Rename(h.data.Control(id), filepath.Join(h.data.Run(), "hidden")); err != nil {
		h.Fatal(err)
	}
	fixture, err := filepath.Abs(filepath.Join("testdata", hello))
	if err != nil {
		h.Fatal(err)
	}
	cmd := exec.Command(self(h)[0], futureRole, filepath.Base(h.data.Control(id)), "hidden", fixture)
	cmd.Stderr, cmd.Dir = os.Stderr, h.data.Run() // a whole path may be too long for a socket
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		h.Fatal(line, err)
	}
}

// A daemon that is older than a supervisor must neither end its job nor lose how it ended.
func TestASupervisorOfALaterVersionIsFollowedByItsManifest(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]string{"control-v2.bin": "version 2", "control-other.bin": "version 0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, "")
			g := h.gate(job("", "w"))
			h.halt()
			h.replaceSupervisor(g.id, name)
			h.start()
			c := h.follow(api.Follow{Job: g.id, Log: true})
			c.await("a warning", func() bool { return len(c.states) > 0 && len(c.states[len(c.states)-1].Warnings) > 0 })
			info := c.states[len(c.states)-1]
			if want := fmt.Sprintf("speaks %d", api.ControlVersion); info.State != manifest.Running || !strings.Contains(info.Warnings[0], version) || !strings.Contains(info.Warnings[0], want) {
				t.Errorf("got %+v", info)
			}
			g.open()
			if err := c.drain(); err != nil || c.result == nil || c.result.State != manifest.Succeeded || !strings.HasSuffix(c.text(0), "open\n") {
				t.Errorf("got %v, %+v, log %q", err, c.result, c.text(0))
			}
		})
	}
}

// A job whose record is of a later version was lost for good: the daemon that reads it came too late.
func TestAJobWhoseManifestIsOfALaterVersionWaitsForALaterDaemon(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 1\n")
	before := h.run(job("true", "w")).accepted.Job.ID
	g := h.gate(job("", "w"))
	ours := h.recordLike(before, g.id, manifest.Version)
	later := h.recordLike(before, g.id, manifest.Version+1)
	if err := os.WriteFile(h.data.Manifest(g.id), later, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(supervisorOf(t, h.data, g.id), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	warned := func() bool { return len(g.states) > 0 && len(g.states[len(g.states)-1].Warnings) > 0 }
	g.await("a warning", warned)
	info := g.states[len(g.states)-1]
	if said := fmt.Sprint(info.Warnings); info.State != manifest.Running || !strings.Contains(said, "version 2") || !strings.Contains(said, "version 1") {
		t.Errorf("got %+v", info)
	}
	g.open() // its tool was left
	h.run(job("true", "w"))
	if err := h.call("POST", "/v1/jobs/"+g.id+"/cancel", api.CancelRequest{}, nil); err == nil || err.Kind != api.Incompatible {
		t.Errorf("its cancel: %+v", err)
	}
	h.halt()
	h.start()
	c := h.follow(api.Follow{Job: g.id})
	c.await("a warning", func() bool { return len(c.states) > 0 && len(c.states[len(c.states)-1].Warnings) > 0 })
	h.halt()
	if err := os.WriteFile(h.data.Manifest(g.id), ours, 0o600); err != nil { // as the later daemon reads it
		t.Fatal(err)
	}
	h.start()
	if c := h.follow(api.Follow{Job: g.id}); c.drain() != nil || c.result.State != manifest.Succeeded || *c.result.ExitCode != 0 {
		t.Errorf("got %+v", c.result)
	}
}

// recordLike returns the record of one job as if another had left it, of any version.
func (h *host) recordLike(of, id string, version int) []byte {
	h.Helper()
	data, err := os.ReadFile(h.data.Manifest(of))
	m := map[string]any{}
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	m["job"], m["schemaVersion"], m["artifacts"] = id, version, []any{}
	if err == nil {
		data, err = json.Marshal(m)
	}
	if err != nil {
		h.Fatal(err)
	}
	return data
}

func TestASupervisorOfALaterVersionCanBeToldToEnd(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	g := h.gate(job("", "w"))
	h.halt()
	h.replaceSupervisor(g.id, "control-v2.bin")
	h.start()
	c := h.follow(api.Follow{Job: g.id})
	c.await("a warning", func() bool { return len(c.states) > 0 && len(c.states[len(c.states)-1].Warnings) > 0 })
	if err := h.call("POST", "/v1/jobs/"+g.id+"/cancel", api.CancelRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.drain(); err != nil || c.result.State != manifest.Cancelled || c.result.Reason != "it got TERM" {
		t.Errorf("got %v, %+v", err, c.result)
	}
}
