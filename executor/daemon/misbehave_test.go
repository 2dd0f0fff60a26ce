//go:build linux

package daemon_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"golang.org/x/sys/unix"
)

// assertSound holds a host to what must be so whatever a job did: the daemon answers, nothing of the
// job runs, the digests of its manifest are those of the files, and another job runs in its place.
func (h *host) assertSound(id string, m *manifest.Manifest) {
	h.Helper()
	var hello api.Hello
	if err := h.call("GET", api.PathHello, nil, &hello); err != nil || hello.PID == 0 {
		h.Errorf("the daemon does not answer: %v", err)
	}
	if left := processesOf(h, id); len(left) > 0 {
		h.Errorf("processes are left: %q", left)
	}
	if info := h.show(id); info.State != m.State || info.Reason != m.Reason {
		h.Errorf("shown as %s (%s), recorded as %s (%s)", info.State, info.Reason, m.State, m.Reason)
	}
	for _, a := range m.Artifacts {
		h.assertDigest(id, a)
	}
	next := h.run(job("echo next", "w"))
	if next.result.State != manifest.Succeeded || next.text(0) != "next\n" {
		h.Errorf("the next job: %s (%s), %q", next.result.State, next.result.Reason, next.text(0))
	}
}

func (h *host) assertDigest(id string, a manifest.Artifact) {
	h.Helper()
	path := filepath.Join(h.data.Job(id), a.Path)
	if a.Volatile {
		return // the next job may take it away
	}
	if a.Kind == manifest.KindSymlink {
		if target, err := os.Readlink(path); err != nil || target != a.Target {
			h.Errorf("%q leads to %q: %v", a.Name, target, err)
		}
		return
	}
	f, err := os.Open(path)
	if err != nil {
		h.Error(err)
		return
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil || n != a.Size || manifest.Sum(sum.Sum(nil)).Digest() != a.Digest {
		h.Errorf("%q has %d bytes and another digest than the manifest says: %v", a.Name, n, err)
	}
}

// processesOf finds what bears a job's mark, or its id in the command line.
func processesOf(t testing.TB, id string) []string {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, p := range paths {
		env, _ := os.ReadFile(p + "/environ")
		line, _ := os.ReadFile(p + "/cmdline")
		if bytes.Contains(env, []byte("CYCLOPS_JOB="+id)) || bytes.Contains(line, []byte(id)) {
			found = append(found, string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
		}
	}
	return found
}

// often returns how often to do something: few times in every run, many where the variable
// CYCLOPS_TEST_LARGE is set.
func often(few, many int) int {
	if os.Getenv("CYCLOPS_TEST_LARGE") != "" {
		return many
	}
	return few
}

// misbehave runs a job, and meanwhile what else there is, and holds the host to what must be so
// behind it.
func (h *host) misbehave(j *manifest.Job, beside ...func()) *client {
	h.Helper()
	c := h.stream()
	c.patient()
	c.send(api.FrameSubmit, api.Submit{Job: encode(h, j), Follow: everything})
	for _, do := range beside {
		do()
	}
	if err := c.drain(); err != nil || c.result == nil {
		h.Fatalf("got %v", err)
	}
	h.assertSound(j.ID, c.result)
	return c
}

// patient gives a stream all the time that the test has.
func (c *client) patient() {
	c.Helper()
	if err := c.conn.SetDeadline(time.Time{}); err != nil {
		c.Fatal(err)
	}
}

func (c *client) want(state manifest.State, code int) {
	c.Helper()
	if m := c.result; m.State != state || m.ExitCode == nil || *m.ExitCode != code {
		c.Errorf("%s, exit code %v, signal %q: %s", m.State, m.ExitCode, m.Signal, m.Reason)
	}
}

func TestDeafProcessesThatHide(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := job("", "w")
	j.Steps[0].Run = `trap '' TERM HUP; hide() { setsid sh -c 'trap "" TERM HUP; echo up; while :; do sleep 1000; done # ` + j.ID + `'; }
hide & ( ( hide & ) & ); ( unset CYCLOPS_JOB; ( hide & ) & ); hide 1<&- 2>&1 & exit 3`
	c := h.misbehave(j)
	c.want(manifest.Failed, 3)
}

func TestAForkBombDoesNotTakeTheHost(t *testing.T) {
	t.Parallel()
	h := newHost(t, "[limits]\nprocesses = 100\n")
	var report api.EnvironmentReport
	if err := h.call("POST", api.PathEnvironment, nil, &report); err != nil {
		t.Fatal(err)
	}
	if report.Limits[0].Value != "100" {
		t.Errorf("limits are %+v", report.Limits)
	}
	if why := report.Limits[0].NotEnforced; why != "" {
		t.Skip("not enforced for this user: ", why)
	}
	c := h.submit(job("trap '' TERM; bomb() { bomb | bomb & }; bomb; while :; do sleep 1000; done", "w"), everything)
	c.await("it could not fork any more", func() bool { return strings.Contains(strings.ToLower(c.text(0)), "fork") })
	if info := h.show(c.accepted.Job.ID); info.State != manifest.Running {
		t.Errorf("%s: %s", info.State, info.Reason)
	}
	h.run(job("true", "other"))
	h.call("POST", "/v1/jobs/"+c.accepted.Job.ID+"/cancel", api.CancelRequest{GraceSecs: 0.05}, nil)
	if err := c.drain(); err != nil || !strings.Contains(c.result.Reason, "limits.processes") {
		t.Errorf("got %v, %s", err, c.result.Reason)
	}
	h.assertSound(c.accepted.Job.ID, c.result)
}

func TestBinaryLog(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	c := h.misbehave(job("head -c 3000000 /dev/urandom | tee bytes; head -c 1000 /dev/urandom > noise; cat noise >&2", "w"))
	c.want(manifest.Succeeded, 0)
	if !bytes.Equal([]byte(c.text(api.Stdout)), c.artifact("bytes")) || c.text(api.Stderr) != string(c.artifact("noise")) {
		t.Error("the log is not what was written")
	}
}

// artifact reads an output where the manifest says that it is.
func (c *client) artifact(name string) []byte {
	c.Helper()
	i := slices.IndexFunc(c.result.Artifacts, func(a manifest.Artifact) bool { return a.Name == name })
	if i < 0 {
		c.Fatalf("there is no %q: %+v", name, c.result.Artifacts)
	}
	data, err := os.ReadFile(filepath.Join(c.data.Job(c.result.Job), c.result.Artifacts[i].Path))
	if err != nil {
		c.Fatal(err)
	}
	return data
}

func TestOneVeryLongLine(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	size := often(64, 1024) << 20
	j := job(fmt.Sprintf("head -c %d /dev/zero | tr '\\0' x", size), "w")
	if err := h.submit(j, nil).drain(); err != nil {
		t.Fatal(err)
	}
	c := h.follow(api.Follow{Job: j.ID, Log: true})
	c.patient()
	got, sum := 0, sha256.New()
	for more := true; more; {
		_, more = c.next()
		for _, chunk := range c.log {
			got += len(chunk.Data)
			sum.Write(chunk.Data)
		}
		c.log = nil
	}
	c.want(manifest.Succeeded, 0)
	if i := slices.IndexFunc(c.result.Artifacts, func(a manifest.Artifact) bool { return a.Name == j.ID+".log" }); got != size || c.result.Artifacts[i].Digest != manifest.Sum(sum.Sum(nil)).Digest() {
		t.Errorf("got %d bytes of %d, or others than the manifest's", got, size)
	}
	h.assertSound(j.ID, c.result)
	tail := h.follow(api.Follow{Job: j.ID, Log: true, Tail: 1})
	if f, _ := tail.next(); f.Type != api.FrameState {
		t.Errorf("got frame %d", f.Type)
	}
}

func TestAJobThatFillsTheDisk(t *testing.T) {
	t.Parallel()
	h := newSmallHost(t)
	j := job("cat /dev/zero > hog; echo not to be lost; rm hog; exit 4", "w")
	c := h.misbehave(j)
	c.want(manifest.Failed, 4)
	if text := c.text(api.Stdout); text != "not to be lost\n" && !strings.Contains(c.result.Reason, "no space left") {
		t.Errorf("log %q, reason %q", text, c.result.Reason)
	}
}

func TestAJobThatFillsTheInodes(t *testing.T) {
	t.Parallel()
	h := newSmallHost(t, "nr_inodes=400")
	c := h.run(job("n=0; while true > f$n; do n=$((n+1)); done; echo full; exit 5", "w"))
	if c.result.State != manifest.Failed || c.text(api.Stdout) != "full\n" || !strings.Contains(c.result.Reason, "disk is full") {
		t.Errorf("%s: %s, log %q", c.result.State, c.result.Reason, c.text(0))
	}
	if err := os.RemoveAll(h.data.Workspace("w")); err != nil { // as its owner would
		t.Fatal(err)
	}
	h.assertSound(c.result.Job, c.result)
}

// fillInodes makes files until only so many more can be made.
func (h *host) fillInodes(left int) (remove func()) {
	h.Helper()
	dir := filepath.Join(string(h.data), "hog")
	if err := os.Mkdir(dir, 0o700); err != nil {
		h.Fatal(err)
	}
	n, err := 0, error(nil)
	for ; err == nil; n++ {
		err = os.WriteFile(filepath.Join(dir, fmt.Sprint(n)), nil, 0o600)
	}
	if !errors.Is(err, unix.ENOSPC) || n <= left {
		h.Fatalf("%d files: %v", n, err)
	}
	for i := range left {
		if err := os.Remove(filepath.Join(dir, fmt.Sprint(i))); err != nil {
			h.Fatal(err)
		}
	}
	return func() { os.RemoveAll(dir) }
}

// Whatever a start has no inode for, its job waits for one, as it does for bytes: it was accepted.
func TestAJobWaitsForInodes(t *testing.T) {
	t.Parallel()
	for left := range 6 {
		t.Run(fmt.Sprint(left, " left"), func(t *testing.T) {
			t.Parallel()
			h := newSmallHost(t, "nr_inodes=600")
			g := h.gate(job("", "w"))
			c := h.submit(job("echo ran", "w"), everything)
			remove := h.fillInodes(left)
			g.open()
			if err := g.drain(); err != nil || g.result.State != manifest.Succeeded {
				t.Errorf("the first: %v, %+v", err, g.result)
			}
			for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
				now := h.show(c.accepted.Job.ID)
				if now.State.Ended() || strings.Contains(now.WaitsFor, "no space left") {
					break // where what is left is enough it runs meanwhile
				}
				if time.Now().After(deadline) {
					t.Fatalf("it neither runs nor waits for room: %+v", now)
				}
			}
			remove()
			if err := c.drain(); err != nil || c.result.State != manifest.Succeeded && !strings.Contains(c.result.Reason, "disk is full") || c.result.State == manifest.Cancelled {
				t.Errorf("the second: %v, %+v", err, c.result)
			}
		})
	}
}

func TestAJobThatDeletesItsWorkspace(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	c := h.misbehave(job(`rm -rf "$PWD"; echo gone`, "w"))
	if c.text(0) != "gone\n" || !strings.Contains(c.result.Reason, "the workspace is gone") {
		t.Errorf("%s: %s, log %q", c.result.State, c.result.Reason, c.text(0))
	}
	j := job("cat input", "w")
	again := h.inline(j, newTree(t, map[string]string{"input": "back"}), nil, everything)
	if err := again.drain(); err != nil || again.text(0) != "back" {
		t.Errorf("got %v, %q", err, again.text(0))
	}
}

func TestVeryManyOutputs(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	n := often(10_000, 100_000)
	j := job(fmt.Sprintf("mkdir out; seq %d | split -l 1 -a 5 - out/", n), "w")
	if err := h.submit(j, nil).drain(); err != nil {
		t.Fatal(err)
	}
	c := h.follow(api.Follow{Job: j.ID, Log: true})
	c.patient()
	for more := true; more; {
		var f api.Frame
		if f = c.read(); f.Type == api.FrameError {
			t.Fatalf("%s", f.Payload)
		}
		more = f.Type != api.FrameEnd
	}
	data, err := os.ReadFile(h.data.Manifest(j.ID))
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.DecodeManifest(data)
	if err != nil {
		t.Fatal(err)
	}
	const most = 50_000 // that a manifest lists
	if listed := len(m.Artifacts) - 2; m.State != manifest.Succeeded || listed != min(n, most) {
		t.Errorf("%s: %s, %d listed of %d", m.State, m.Reason, listed, n)
	}
	if n > most && !strings.Contains(m.Reason, strconv.Itoa(n-most)+" more outputs") {
		t.Errorf("reason is %q", m.Reason)
	}
	h.assertSound(j.ID, m)
}

func TestHostileOutputs(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	long := strings.Repeat("n", 255)
	c := h.misbehave(job(`
touch "$(printf 'new\nline')" "$(printf 'esc\033[31m')" "$(printf 'not\377utf8')" -- '-rf' ' ' '"' '\' '*' '$(x)' .. .hidden `+long+`
deep=$PWD; n=0; while [ $n -lt 30 ]; do mkdir `+strings.Repeat("d", 200)+` && cd -P `+strings.Repeat("d", 200)+`; n=$((n+1)); done; echo deep > end; cd -P "$deep"
ln -s /etc/passwd out; ln -s ../../jobs.db up; ln -s nowhere dangling; ln -s loop loop; ln -s .hidden fine; ln -s /dev/zero zero
mkfifo pipe; mknod device c 1 5; mknod disk b 7 0; cp /bin/true setuid; chmod u+s setuid; mkdir closed; echo x > closed/x; chmod 0 closed
touch ready; while ! test -e socket; do sleep 0.01; done; exit 0`, "w"), socketIn(t, h, "w"))
	c.want(manifest.Succeeded, 0)
	names := map[string]bool{}
	for _, a := range c.result.Artifacts {
		names[a.Name] = true
	}
	for _, name := range []string{"new\nline", "esc\033[31m", "-rf", " ", `"`, `\`, "*", "$(x)", ".hidden", long, "dangling", "fine", "closed/x",
		strings.Repeat(strings.Repeat("d", 200)+"/", 30) + "end"} {
		if !names[name] {
			t.Errorf("%q is not listed", name)
		}
	}
	refused := map[string]string{}
	for _, r := range c.result.Refused {
		refused[r.Path] = r.Reason
	}
	want := map[string]string{"not\uFFFDutf8": "not UTF-8", "out": "leads out", "up": "leads out", "zero": "leads out", "pipe": "named pipe", "socket": "socket", "setuid": "another user's rights"}
	if os.Getuid() == 0 {
		want["device"], want["disk"] = "device", "device"
	}
	for name, why := range want {
		if names[name] || !strings.Contains(refused[name], why) {
			t.Errorf("%q is listed: %v, refused: %q", name, names[name], refused[name])
		}
	}
}

// socketIn makes a socket in a workspace as soon as the file "ready" is there.
func socketIn(t *testing.T, h *host, workspace string) func() {
	return func() {
		path := h.data.Workspace(workspace)
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) { // no event tells
			if _, err := os.Stat(filepath.Join(path, "ready")); err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Error("the job does not get ready")
				return
			}
		}
		dir, err := os.Open(path) // by which it is named: the path may be longer than an address
		if err != nil {
			t.Error(err)
			return
		}
		defer dir.Close()
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fmt.Sprintf("/proc/self/fd/%d/socket", dir.Fd()), Net: "unix"})
		if err != nil {
			t.Error(err)
			return
		}
		l.SetUnlinkOnClose(false)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestAnOutputThatChangesWhileItIsCollected: what changes it is no process of the job's.
func TestAnOutputThatChangesWhileItIsCollected(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	g := h.gate(job("", "w"))
	path := filepath.Join(h.data.Workspace("w"), "growing")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				done <- f.Close()
				return
			default:
				if _, err := f.Write(make([]byte, 4096)); err != nil {
					done <- err
					return
				}
			}
		}
	}()
	g.open()
	answered := g.drain()
	close(stop)
	if err := <-done; err != nil || answered != nil {
		t.Fatal(err, answered)
	}
	i := slices.IndexFunc(g.result.Artifacts, func(a manifest.Artifact) bool { return a.Name == "growing" })
	k := slices.IndexFunc(g.result.Refused, func(r manifest.Refusal) bool { return strings.Contains(r.Reason, "changes while it is read") })
	if g.result.State != manifest.Succeeded || i < 0 && k < 0 {
		t.Errorf("%s: %s, %+v, refused %+v", g.result.State, g.result.Reason, g.result.Artifacts, g.result.Refused)
	}
	h.assertSound(g.id, g.result)
}
