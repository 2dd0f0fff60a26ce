//go:build linux

package sshtest

import (
	"crypto/rand"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Net is a network of two: the client's namespace and the host's, joined by one cable. What is
// done to it happens to the kernel's own TCP, timers of retransmission and all.
type Net struct {
	Host string // address of the host
	Near string // address of the client, which Move changes

	t          testing.TB
	near, far  string // namespaces; so is the name of each one's end of the cable
	nearM      string // hardware addresses
	farM       string
	moved      int
	namespaces []string
}

const nowhere = "02:00:00:00:00:99" // nobody's hardware address

// NewNet makes a network that stands until the test ends. The test is skipped where there can be
// none; for root under CI that is a failure.
func NewNet(t testing.TB) *Net {
	t.Helper()
	id := strings.ToLower(rand.Text()[:8])
	n := &Net{t: t, Host: "10.77.0.2", Near: "10.77.0.1", near: "cyc" + id, far: "cyh" + id}
	t.Cleanup(n.remove)
	for _, name := range []string{n.near, n.far} {
		if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
			n.impossible(strings.TrimSpace(string(out)), err)
		}
		n.namespaces = append(n.namespaces, name)
	}
	n.ip("-n", n.near, "link", "add", n.near, "type", "veth", "peer", "name", n.far, "netns", n.far)
	for name, address := range map[string]string{n.near: n.Near, n.far: n.Host} {
		n.ip("-n", name, "addr", "add", address+"/24", "dev", name)
		n.ip("-n", name, "link", "set", "lo", "up")
		n.ip("-n", name, "link", "set", name, "up")
	}
	n.nearM, n.farM = n.hardware(n.near), n.hardware(n.far)
	return n
}

func (n *Net) impossible(said string, err error) {
	n.t.Helper()
	if os.Getenv("CI") != "" && os.Getuid() == 0 {
		n.t.Fatalf("no network namespaces: %v: %s", err, said)
	}
	n.t.Skipf("no network namespaces: %v: %s", err, said)
}

func (n *Net) remove() {
	for _, name := range n.namespaces {
		if out, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
			n.t.Errorf("unable to clean up: %v: %s", err, out)
		}
	}
}

func (n *Net) ip(args ...string) string {
	n.t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		n.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (n *Net) hardware(name string) string {
	n.t.Helper()
	_, rest, _ := strings.Cut(n.ip("-n", name, "-br", "link", "show", name), "UP")
	for _, word := range strings.Fields(rest) {
		if _, err := net.ParseMAC(word); err == nil {
			return word
		}
	}
	n.t.Fatal("no hardware address of " + name)
	return ""
}

// Client makes a command one of the client's machine.
func (n *Net) Client(c *exec.Cmd) *exec.Cmd { return in(n.near, c) }

func in(namespace string, c *exec.Cmd) *exec.Cmd {
	moved := exec.Command("ip", append([]string{"netns", "exec", namespace, c.Path}, c.Args[1:]...)...)
	moved.Dir, moved.Env, moved.SysProcAttr = c.Dir, c.Env, c.SysProcAttr
	moved.Stdin, moved.Stdout, moved.Stderr = c.Stdin, c.Stdout, c.Stderr
	return moved
}

// Down takes the client's interface away, as a laptop that sleeps or leaves the wireless network does.
func (n *Net) Down() { n.ip("-n", n.near, "link", "set", n.near, "down") }

// Up brings it back.
func (n *Net) Up() { n.ip("-n", n.near, "link", "set", n.near, "up") }

// Silence lets every packet vanish in both directions; nobody is told, the cable stands.
func (n *Net) Silence() {
	n.ip("-n", n.near, "neigh", "replace", n.Host, "lladdr", nowhere, "nud", "permanent", "dev", n.near)
	n.Deafen()
}

// Deafen lets what the host sends vanish; what the client sends arrives.
func (n *Net) Deafen() {
	n.ip("-n", n.far, "neigh", "replace", n.Near, "lladdr", nowhere, "nud", "permanent", "dev", n.far)
}

// Hear ends Silence and Deafen.
func (n *Net) Hear() {
	n.ip("-n", n.near, "neigh", "replace", n.Host, "lladdr", n.farM, "nud", "permanent", "dev", n.near)
	n.ip("-n", n.far, "neigh", "replace", n.Near, "lladdr", n.nearM, "nud", "permanent", "dev", n.far)
}

// Move gives the client another address and takes the old one away, as a change of network does.
func (n *Net) Move() {
	old := n.Near
	n.moved++
	n.Near = net.IPv4(10, 77, 0, byte(100+n.moved)).String()
	n.ip("-n", n.near, "addr", "del", old+"/24", "dev", n.near) // first: a second address would go with it
	n.ip("-n", n.near, "addr", "add", n.Near+"/24", "dev", n.near)
}
