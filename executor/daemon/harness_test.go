//go:build linux

package daemon_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cyclops-fpga/cyclops/executor"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/chaos/powerfs"
	"github.com/cyclops-fpga/cyclops/executor/daemon"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/pack"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// TestMain lets the test binary be the executor: daemons, supervisors and login shells start it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "executor" {
		os.Exit(executor.Main(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == futureRole {
		os.Exit(future(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == powerfsRole {
		os.Exit(powerfs.Main(os.Args[2:]))
	}
	// The login files of whoever runs the tests are none of their business.
	os.Setenv("SHELL", "/bin/sh")
	// Under the race detector every process that ends would sleep a second.
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	goleak.VerifyTestMain(m)
}

func self(t testing.TB) []string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{path, "executor"}
}

// host is one data directory and the daemon that serves it, inside this process.
type host struct {
	testing.TB
	data layout.Data
	stop context.CancelFunc
	left chan error
}

func newHost(t testing.TB, config string) *host {
	t.Helper()
	h := &host{TB: t, data: layout.Data(t.TempDir())}
	if err := os.WriteFile(h.data.Config(), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	h.start()
	t.Cleanup(func() {
		h.cancelAll()
		h.halt()
	})
	return h
}

func (h *host) start() {
	h.Helper()
	d, err := daemon.Open(context.Background(), h.data, self(h))
	if err != nil {
		h.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.stop, h.left = cancel, make(chan error, 1)
	go func() { h.left <- d.Serve(ctx) }()
}

// halt ends the daemon and leaves its supervisors.
func (h *host) halt() {
	h.Helper()
	if h.stop == nil {
		return
	}
	h.stop()
	if err := <-h.left; err != nil {
		h.Error(err)
	}
	h.stop = nil
}

// cancelAll ends what a failed test left, so that no process outlives it.
func (h *host) cancelAll() {
	if h.stop == nil {
		h.start()
	}
	for {
		var page api.JobPage
		h.call("GET", api.PathJobs+"?state=queued&state=running", nil, &page)
		if len(page.Jobs) == 0 {
			return
		}
		for _, j := range page.Jobs {
			h.call("POST", "/v1/jobs/"+j.ID+"/cancel", api.CancelRequest{GraceSecs: 0.1}, nil)
			h.follow(api.Follow{Job: j.ID}).drain()
		}
	}
}

// call makes one request and returns the error that the daemon answered, if any.
func (h *host) call(method, path string, in, out any) *api.Error {
	h.Helper()
	return h.callAs("1", method, path, in, out)
}

func (h *host) callAs(version, method, path string, in, out any) *api.Error {
	h.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return daemon.Dial(ctx, h.data)
	}}
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			h.Fatal(err)
		}
		body = bytes.NewReader(data)
	}
	r, err := http.NewRequest(method, "http://executor"+path, body)
	if err != nil {
		h.Fatal(err)
	}
	if version != "" {
		r.Header.Set(api.HeaderVersion, version)
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		h.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		h.Fatal(err)
	}
	if response.Header.Get(api.HeaderVersion) != "1" || response.Header.Get(api.HeaderStore) == "" {
		h.Errorf("%s %s: the reply does not say who answers: %v", method, path, response.Header)
	}
	if response.StatusCode != http.StatusOK {
		e := new(api.Error)
		if err := json.Unmarshal(data, e); err != nil || e.Message == "" {
			h.Fatalf("%s %s: %s %q", method, path, response.Status, data)
		}
		return e
	}
	if out != nil {
		if err := json.Unmarshal(data, out); err != nil {
			h.Fatalf("%s %s: %q: %v", method, path, data, err)
		}
	}
	return nil
}

// client is one stream.
type client struct {
	*host
	conn net.Conn
	r    *bufio.Reader
	w    *api.FrameWriter

	accepted  *api.Accepted
	states    []api.JobInfo
	log       []api.LogChunk
	result    *manifest.Manifest
	artifacts map[string][]byte
	open      string // artifact under way
	taken     int64
	owner     *api.StdinOwner // the newest
	closed    bool            // the job takes no more input of this client
}

// stream asks for the upgrade and does not wait for the answer.
func (h *host) stream() *client {
	h.Helper()
	conn, err := daemon.Dial(h.Context(), h.data)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: %s\r\n%s: 1\r\n\r\n",
		api.PathStream, api.UpgradeProtocol, api.HeaderVersion); err != nil {
		h.Fatal(err)
	}
	return &client{host: h, conn: conn, w: api.NewFrameWriter(conn), artifacts: map[string][]byte{}}
}

func (c *client) send(t api.FrameType, v any) {
	c.Helper()
	if err := c.w.JSON(t, v); err != nil {
		c.Fatal(err)
	}
}

// read returns the next frame; its payload is the caller's.
func (c *client) read() api.Frame {
	c.Helper()
	if c.r == nil {
		c.r = bufio.NewReader(c.conn)
		response, err := http.ReadResponse(c.r, nil)
		if err != nil {
			c.Fatal(err)
		}
		if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get(api.HeaderStore) == "" {
			c.Fatalf("answered %s %v", response.Status, response.Header)
		}
	}
	f, err := api.ReadFrame(c.r, nil)
	if err != nil {
		c.Fatalf("unable to read frame: %v", err)
	}
	return f
}

// next takes in one frame; false means that the stream ended.
func (c *client) next() (api.Frame, bool) {
	c.Helper()
	f := c.read()
	switch f.Type {
	case api.FrameAccepted:
		c.accepted = new(api.Accepted)
		c.decode(f, c.accepted)
	case api.FrameState:
		var info api.JobInfo
		c.decode(f, &info)
		c.states = append(c.states, info)
	case api.FrameLog:
		chunk, err := f.Log()
		if err != nil {
			c.Fatal(err)
		}
		c.log = append(c.log, chunk)
		c.w.Offset(api.FrameLogAck, chunk.Offset+int64(len(chunk.Data)), nil)
	case api.FrameResult:
		c.takeResult(f)
	case api.FrameArtifactStart:
		var a api.ArtifactStart
		c.decode(f, &a)
		c.open, c.artifacts[a.Name] = a.Name, []byte{}
	case api.FrameArtifactData:
		c.artifacts[c.open] = append(c.artifacts[c.open], f.Payload...)
	case api.FrameStdinOwner:
		c.owner = new(api.StdinOwner)
		c.decode(f, c.owner)
	case api.FrameStdinClosed:
		c.closed = true
	case api.FrameStdinAck:
		c.taken, _, _ = f.Offset()
	}
	return f, f.Type != api.FrameEnd && f.Type != api.FrameError
}

func (c *client) takeResult(f api.Frame) {
	c.Helper()
	var r api.Result
	c.decode(f, &r)
	m, err := manifest.DecodeManifest(r.Manifest)
	if err != nil {
		c.Fatal(err)
	}
	disk, err := os.ReadFile(r.Location)
	if err != nil || !bytes.Equal(bytes.TrimSpace(disk), r.Manifest) {
		c.Errorf("the result is not the manifest on disk: %v", err)
	}
	c.result = m
}

func (c *client) decode(f api.Frame, v any) {
	c.Helper()
	if err := f.JSON(v); err != nil {
		c.Fatal(err)
	}
}

// await takes in frames until ok.
func (c *client) await(what string, ok func() bool) {
	c.Helper()
	for !ok() {
		if f, more := c.next(); !more {
			c.Fatalf("the stream ended with frame %d %s before %s", f.Type, f.Payload, what)
		}
	}
}

// drain takes in frames to the end and returns the error that the stream ended with, if any.
func (c *client) drain() *api.Error {
	c.Helper()
	for {
		f, more := c.next()
		if more {
			continue
		}
		c.conn.Close()
		if f.Type == api.FrameEnd {
			return nil
		}
		e := new(api.Error)
		c.decode(f, e)
		return e
	}
}

// state is the newest that was told.
func (c *client) state() manifest.State {
	if len(c.states) == 0 {
		return ""
	}
	return c.states[len(c.states)-1].State
}

func (c *client) text(stream uint8) string {
	var b strings.Builder
	for _, chunk := range c.log {
		if stream == 0 || chunk.Stream == stream {
			b.Write(chunk.Data)
		}
	}
	return b.String()
}

// job is a job of one shell line in a workspace.
func job(line, workspace string) *manifest.Job {
	return &manifest.Job{
		SchemaVersion: manifest.JobVersion, MediaType: manifest.JobMediaType, ID: manifest.NewID(), Created: time.Now(),
		Steps: []manifest.Step{{Run: line}}, Workspace: manifest.Workspace{Name: workspace, Mode: manifest.Kept}, GraceSecs: 0.2,
	}
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var everything = &api.Follow{Log: true, Artifacts: 1 << 20}

// submit submits without inputs and follows; it returns when the job is accepted.
func (h *host) submit(j *manifest.Job, follow *api.Follow) *client {
	h.Helper()
	c := h.stream()
	c.send(api.FrameSubmit, api.Submit{Job: encode(h, j), Follow: follow})
	c.await("Accepted", func() bool { return c.accepted != nil })
	return c
}

func (h *host) follow(f api.Follow) *client {
	h.Helper()
	c := h.stream()
	c.send(api.FrameFollow, f)
	return c
}

// run runs a job to its end.
func (h *host) run(j *manifest.Job) *client {
	h.Helper()
	c := h.submit(j, everything)
	if err := c.drain(); err != nil {
		h.Fatal(err)
	}
	if c.result == nil {
		h.Fatal("there is no result")
	}
	return c
}

func (h *host) show(id string) api.JobInfo {
	h.Helper()
	var info api.JobInfo
	if err := h.call("GET", "/v1/jobs/"+id, nil, &info); err != nil {
		h.Fatal(err)
	}
	return info
}

// tree is a snapshot with its objects.
type tree struct {
	root    manifest.Sum
	objects map[manifest.Sum]object
}

type object struct {
	kind pack.Kind
	data []byte
}

// newTree makes a snapshot of files by path, with directories of one level.
func newTree(t testing.TB, files map[string]string) *tree {
	t.Helper()
	out := &tree{objects: map[manifest.Sum]object{}}
	dirs := map[string]snapshot.Tree{"": {}}
	for path, content := range files {
		dir, name, ok := strings.Cut(path, "/")
		if !ok {
			dir, name = "", path
		}
		sum := manifest.SumOf([]byte(content))
		out.objects[sum] = object{pack.Blob, []byte(content)}
		dirs[dir] = append(dirs[dir], snapshot.Entry{Name: name, Kind: snapshot.File, Size: int64(len(content)), Sum: sum})
	}
	root := dirs[""]
	for name, entries := range dirs {
		if name == "" {
			continue
		}
		entries.Sort()
		e, data, err := entries.Object(name)
		if err != nil {
			t.Fatal(err)
		}
		out.objects[e.Sum] = object{pack.Tree, data}
		root = append(root, e)
	}
	root.Sort()
	e, data, err := root.Object("")
	if err != nil {
		t.Fatal(err)
	}
	out.root, out.objects[e.Sum] = e.Sum, object{pack.Tree, data}
	return out
}

// pack writes those objects that have does not hold.
func (s *tree) pack(t testing.TB, have *tree) []byte {
	t.Helper()
	var b bytes.Buffer
	w := pack.NewWriter(&b)
	for sum, o := range s.objects {
		if have != nil {
			if _, ok := have.objects[sum]; ok {
				continue
			}
		}
		if err := w.Add(o.kind, sum, int64(len(o.data)), bytes.NewReader(o.data)); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// sendPack sends a pack in two frames.
func (c *client) sendPack(data []byte) {
	c.Helper()
	for _, piece := range [][]byte{data[:len(data)/2], data[len(data)/2:]} {
		if err := c.w.Write(api.FramePack, piece); err != nil {
			c.Fatal(err)
		}
	}
	if err := c.w.Write(api.FramePackEnd); err != nil {
		c.Fatal(err)
	}
}
