//go:build bench && linux

package bench

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// relay carries connections to a server, holds every byte for delay in each direction, and
// counts what passes.
type relay struct {
	listener net.Listener
	up, down atomic.Int64
}

func startRelay(l *lab, delay time.Duration) *relay {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l.t.Fatal(err)
	}
	r := &relay{listener: listener}
	l.t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go r.serve(conn, l.server.Addr, delay)
		}
	}()
	return r
}

func (r *relay) serve(client net.Conn, addr string, delay time.Duration) {
	server, err := net.Dial("tcp", addr)
	if err != nil {
		client.Close()
		return
	}
	go carry(server, client, &r.up, delay)
	carry(client, server, &r.down, delay)
}

type parcel struct {
	data []byte
	due  time.Time
}

// carry keeps up to 64 MiB on the way, so that the delay and not the relay limits a stream.
func carry(to, from net.Conn, count *atomic.Int64, delay time.Duration) {
	way := make(chan parcel, 1024)
	go func() {
		defer close(way)
		for {
			buf := make([]byte, 64<<10)
			n, err := from.Read(buf)
			count.Add(int64(n))
			if n > 0 {
				way <- parcel{buf[:n], time.Now().Add(delay)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range way {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			from.Close()
		}
	}
	to.Close()
}

// behind makes the lab's server reachable only through a relay, from now on.
func (l *lab) behind(r *relay) {
	_, port, _ := net.SplitHostPort(r.listener.Addr().String())
	_, old, _ := net.SplitHostPort(l.server.Addr)
	known, err := os.ReadFile(l.server.KnownHosts)
	if err != nil {
		l.t.Fatal(err)
	}
	more := strings.ReplaceAll(string(known), "]:"+old, "]:"+port)
	if err := os.WriteFile(l.server.KnownHosts, append(known, more...), 0o644); err != nil {
		l.t.Fatal(err)
	}
	l.server.ConfigFile = l.server.Config("relayed_config", "Port "+port)
	l.cold()
}

func newNoise(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }
