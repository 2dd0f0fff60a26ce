//go:build linux

package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// forwardBytes is how much one transfer carries.
const forwardBytes = 500 << 20

// TestForwardRate carries bytes from a port of the host to here, through ssh -L and through
// cyclops forward over the same sshd in turn, and prints how fast:
// CYCLOPS_MEASURE=1 go test ./cli/cyclops -v -run ForwardRate
func TestForwardRate(t *testing.T) {
	if os.Getenv("CYCLOPS_MEASURE") == "" {
		t.Skip("CYCLOPS_MEASURE is not set")
	}
	server := sshtest.Start(t, sshtest.Options{Name: "lab", MaxSessions: 100})
	u := newUser(t, server)
	open := u.gate("job")
	defer open()
	to := source(t)
	f := u.start(1, "forward", "job", "0:"+to)
	ways := map[string]string{"direct": to, "cyclops": f.ports[0], "ssh -L": sshForward(t, server, to)}
	for round := range 5 {
		for _, name := range []string{"direct", "ssh -L", "cyclops"} {
			t.Logf("%d %-8s %4.0f MB/s", round, name, forwardBytes/drain(t, ways[name]).Seconds()/1e6)
		}
	}
}

// source is a service that sends forwardBytes to whoever connects.
func source(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		data := make([]byte, 1<<20)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			for range forwardBytes / len(data) {
				if _, err := c.Write(data); err != nil {
					break
				}
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

func sshForward(t *testing.T, server *sshtest.Server, to string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	ssh := exec.Command("ssh", "-F", server.ConfigFile, "-N", "-L", fmt.Sprintf("%s:%s", at, to), server.Name)
	if err := ssh.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ssh.Process.Kill()
		ssh.Wait()
	})
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", at); err == nil {
			c.Close()
			return at
		}
	}
	t.Fatal("ssh does not listen")
	return ""
}

func drain(t *testing.T, at string) time.Duration {
	began := time.Now()
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := io.Copy(io.Discard, c); n != forwardBytes || err != nil {
		t.Fatalf("%d bytes came: %v", n, err)
	}
	return time.Since(began)
}
