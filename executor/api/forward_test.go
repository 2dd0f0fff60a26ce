package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// tcpPair returns the two ends of one TCP connection.
func tcpPair(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	here, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	there, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		here.Close()
		there.Close()
	})
	return here.(*net.TCPConn), there.(*net.TCPConn)
}

func TestCarryPassesEachEndOnByItself(t *testing.T) {
	t.Parallel()
	client, a := tcpPair(t)
	b, service := tcpPair(t)
	carried := make(chan error, 1)
	go func() { carried <- api.Carry(t.Context(), nil, a, b) }()
	client.Write([]byte("question"))
	client.CloseWrite()
	if got, err := io.ReadAll(service); err != nil || string(got) != "question" {
		t.Errorf("the service got %q, %v", got, err)
	}
	service.Write([]byte("answer"))
	service.Close()
	if got, err := io.ReadAll(client); err != nil || string(got) != "answer" {
		t.Errorf("the client got %q, %v", got, err)
	}
	if err := <-carried; err != nil {
		t.Error(err)
	}
}

// A side that is gone must not look like one that has said all.
func TestCarryPassesAResetOn(t *testing.T) {
	t.Parallel()
	client, a := tcpPair(t)
	b, service := tcpPair(t)
	carried := make(chan error, 1)
	go func() { carried <- api.Carry(t.Context(), nil, a, b) }()
	service.Write([]byte("half"))
	io.ReadFull(client, make([]byte, 4))
	service.SetLinger(0)
	service.Close()
	if err := <-carried; err == nil {
		t.Error("a reset passed for an end")
	}
	if _, err := client.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the client saw %v", err)
	}
}

func TestCarryLetsArriveWhatWasUnderWayAndNoMore(t *testing.T) {
	t.Parallel()
	client, a := tcpPair(t)
	b, service := tcpPair(t)
	ended, carried := make(chan struct{}), make(chan error, 1)
	go func() { carried <- api.Carry(t.Context(), ended, a, b) }()
	data := bytes.Repeat([]byte("x"), 8<<20)
	go service.Write(data) // it stays open
	close(ended)
	time.Sleep(600 * time.Millisecond) // a reader that is slow to begin
	got := make([]byte, len(data))
	if n, err := io.ReadFull(client, got); err != nil {
		t.Errorf("%d bytes came: %v", n, err)
	}
	if err := <-carried; !errors.Is(err, api.ErrCut) {
		t.Errorf("it ended with %v", err)
	}
}

// What lies in a send queue when nothing moves any more is under way too: a reset would drop it.
func TestCarryLetsArriveWhatTheKernelHolds(t *testing.T) {
	t.Parallel()
	client, a := tcpPair(t)
	b, service := tcpPair(t)
	if err := client.SetReadBuffer(32 << 10); err != nil {
		t.Fatal(err)
	}
	ended, carried := make(chan struct{}), make(chan error, 1)
	go func() { carried <- api.Carry(t.Context(), ended, a, b) }()
	data := bytes.Repeat([]byte("x"), 400<<10)
	if _, err := service.Write(data); err != nil { // it stays open
		t.Fatal(err)
	}
	close(ended)
	time.Sleep(600 * time.Millisecond) // a reader that is slow to begin
	got := make([]byte, len(data))
	if n, err := io.ReadFull(client, got); err != nil {
		t.Errorf("%d bytes came: %v", n, err)
	}
	if err := <-carried; !errors.Is(err, api.ErrCut) {
		t.Errorf("it ended with %v", err)
	}
}

func TestCarryEndsWithItsContext(t *testing.T) {
	t.Parallel()
	_, a := tcpPair(t)
	b, _ := tcpPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := api.Carry(ctx, nil, a, b); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

func TestCheckTarget(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"localhost:1", "a-b_c.example:65535", "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80"} {
		if err := api.CheckTarget(to); err != nil {
			t.Errorf("%s: %v", to, err)
		}
	}
	for _, to := range []string{"", "localhost", ":80", "h:", "h:0", "h:65536", "h:-1", "h:http", "h:+1", "::1:80", "a b:1", "-h:1", ".h:1", "h;x:1", "[h:1"} {
		if err := api.CheckTarget(to); api.KindOf(err) != api.Invalid {
			t.Errorf("%q: %v", to, err)
		}
	}
}
