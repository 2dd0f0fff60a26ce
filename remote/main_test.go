//go:build linux

package remote_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote"
	"github.com/cyclops-fpga/cyclops/remote/connect"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/place"
	"github.com/cyclops-fpga/cyclops/remote/retry"
	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// TestMain lets the test binary be the link, the executor, and a command that a job runs.
func TestMain(m *testing.M) {
	verb := ""
	if len(os.Args) > 1 {
		verb = os.Args[1]
	}
	switch verb {
	case connect.LinkVerb:
		os.Exit(connect.ServeLink(context.Background()))
	case "executor":
		os.Exit(executor.Main(os.Args[2:]))
	case "pour":
		n, err := strconv.ParseInt(os.Args[2], 10, 64)
		if err == nil {
			_, err = io.CopyN(os.Stdout, noise(), n)
		}
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Setenv("SHELL", "/bin/sh") // the login files of whoever runs the tests are none of their business
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	os.Exit(m.Run())
}

// noise is bytes of which none says where it is, the same for everybody.
func noise() io.Reader { return rand.NewChaCha8([32]byte{1}) }

func sumOfNoise(t testing.TB, n int64) string {
	t.Helper()
	h := sha256.New()
	if _, err := io.CopyN(h, noise(), n); err != nil {
		t.Fatal(err)
	}
	return sumOf(h)
}

func sumOf(h hash.Hash) string { return fmt.Sprintf("%x", h.Sum(nil)) }

func program(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// lab is a host with a real executor behind a real sshd and a line that can be cut.
type lab struct {
	testing.TB
	*remote.Client
	server *sshtest.Server
	line   *sshtest.Cutter
	conn   *connect.Conn
}

func newLab(t testing.TB) *lab {
	t.Helper()
	s := sshtest.Start(t, sshtest.Options{Extra: []string{"MaxStartups 100"}})
	s.Put(".cyclops/bin/current", []byte("#!/bin/sh\nGORACE=atexit_sleep_ms=0 SHELL=/bin/sh exec "+program(t)+" executor \"$@\"\n"), 0o755)
	line := s.Cutter()
	dir, err := os.MkdirTemp("/tmp", "cut-") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	dirs := place.Dirs{State: filepath.Join(dir, "s"), Runtime: filepath.Join(dir, "r"), Cache: filepath.Join(dir, "c"), Config: filepath.Join(dir, "e")}
	conn := connect.Open(hosts.Host{Name: s.Name, Address: s.Name, LinkIdle: time.Minute},
		connect.Options{Dirs: dirs, SSHConfig: line.ConfigFile, Self: []string{program(t)}})
	l := &lab{TB: t, Client: remote.NewClient(conn), server: s, line: line, conn: conn}
	t.Cleanup(l.close)
	if _, err := l.Hello(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lab) close() {
	l.line.Thaw()
	l.line.Up()
	l.Client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := connect.StopLink(ctx, l.conn); err != nil {
		l.Error(err)
	}
	l.conn.Close()
}

func job(argv ...string) *manifest.Job {
	return &manifest.Job{
		SchemaVersion: manifest.JobVersion, MediaType: manifest.JobMediaType, ID: manifest.NewID(), Created: time.Now(),
		Steps: []manifest.Step{{Argv: argv}}, Workspace: manifest.Workspace{Name: "cut", Mode: manifest.Isolated}, GraceSecs: 0.2,
	}
}

// submit submits a job that is followed by a client with an input of its own.
func (l *lab) submit(j *manifest.Job, p *retry.Patience) *remote.Attachment {
	l.Helper()
	f := api.Follow{Log: true, Attach: true}
	if j.Stdin {
		f.Input = manifest.NewID()
	}
	s, err := l.Submit(l.Context(), l.conn, remote.Shipment{Job: j, Follow: &f, Patience: p})
	if err != nil {
		l.Fatal(err)
	}
	a := l.Attach(s, f, p)
	l.Cleanup(func() { a.Close() })
	return a
}

// ended makes sure of how a job ended.
func (l *lab) ended(result *api.Result, err error, state manifest.State) {
	l.Helper()
	if err != nil || result == nil {
		l.Fatalf("%v without a result", err)
	}
	m, err := manifest.DecodeManifest(result.Manifest)
	if err != nil || m.State != state {
		l.Fatalf("%v: the job %s: %s, want %s", err, m.State, m.Reason, state)
	}
}
