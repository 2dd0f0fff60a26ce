//go:build linux

package daemon_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// listening is a job that gives back its input in whole lines.
func listening(line string) *manifest.Job {
	j := job(line, "w")
	j.Stdin = true
	return j
}

func input(id, name string) api.Follow {
	return api.Follow{Job: id, Log: true, Attach: true, Input: name}
}

// attach follows a job with an input of this name and waits until it may send.
func (h *host) attach(id, name string) *client {
	h.Helper()
	c := h.follow(input(id, name))
	c.await("the input is its", func() bool { return c.owner != nil })
	if c.owner.Input != name {
		h.Fatalf("the input of %s was given to %s", name, c.owner.Input)
	}
	return c
}

// write sends input that begins at an offset.
func (c *client) write(at int64, text string) int64 {
	c.Helper()
	if err := c.w.Offset(api.FrameStdin, at, []byte(text)); err != nil {
		c.Fatal(err)
	}
	return at + int64(len(text))
}

func TestAnInputGoesOverFromOneClientToAnother(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := listening("cat")
	follow := input("", "one")
	one := h.submit(j, &follow)
	at := one.write(0, "one\n")
	one.await("it came", func() bool { return one.text(0) == "one\n" })
	two := h.attach(j.ID, "two")
	if two.owner.Received != at {
		t.Errorf("the second goes on at %d, not at %d", two.owner.Received, at)
	}
	one.await("it was told", func() bool { return one.closed })
	one.write(at, "late\n")
	one.w.Offset(api.FrameStdinEnd, at, nil)
	at = two.write(two.owner.Received, "two\n")
	two.await("it came", func() bool { return two.text(0) == "one\ntwo\n" })

	// The line of the first broke and it comes back under the same name.
	again := h.follow(input(j.ID, "one"))
	again.await("it was told", func() bool { return again.closed })
	if again.owner != nil {
		t.Errorf("the first got the input back: %+v", again.owner)
	}
	two.w.Offset(api.FrameStdinEnd, two.write(at, "end\n"), nil)
	if err := two.drain(); err != nil || two.text(0) != "one\ntwo\nend\n" || two.result.State != manifest.Succeeded {
		t.Errorf("got %v, %q", err, two.text(0))
	}
	if err := one.drain(); err != nil {
		t.Error(err)
	}
}

// TestTakingAnInputAwayLosesAndDoublesNothing has clients take the input from each other while
// they send as fast as they may.
func TestTakingAnInputAwayLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := listening("cat")
	h.submit(j, nil)
	var sent bytes.Buffer
	for i := range 20 {
		c := h.attach(j.ID, fmt.Sprint("client", i))
		from := c.owner.Received
		if from < int64(sent.Len())-api.StdinWindow || from > int64(sent.Len()) {
			t.Fatalf("client %d goes on at %d of %d", i, from, sent.Len())
		}
		sent.Truncate(int(from)) // what the one before sent too late was not its to send
		for n := range 50 {
			line := fmt.Sprintf("%d %d\n", i, n)
			c.write(int64(sent.Len()), line)
			sent.WriteString(line)
		}
	}
	last := h.attach(j.ID, "last")
	sent.Truncate(int(last.owner.Received))
	last.w.Offset(api.FrameStdinEnd, last.owner.Received, nil)
	if err := last.drain(); err != nil || last.text(0) != sent.String() {
		t.Errorf("%v: got %d bytes %q, want %d", err, len(last.text(0)), last.text(0), sent.Len())
	}
}

func TestAnInputGoesOnBehindANewDaemon(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := listening("cat")
	h.submit(j, nil)
	c := h.attach(j.ID, "one")
	at := c.write(0, "before\n")
	c.await("it came", func() bool { return c.text(0) == "before\n" })
	h.halt()
	h.start()
	c = h.attach(j.ID, "one")
	if c.owner.Received != at {
		t.Errorf("it goes on at %d, not at %d", c.owner.Received, at)
	}
	c.write(0, "before\n") // what was not acknowledged is sent again
	c.w.Offset(api.FrameStdinEnd, c.write(at, "behind\n"), nil)
	if err := c.drain(); err != nil || c.text(0) != "before\nbehind\n" {
		t.Errorf("got %v, %q", err, c.text(0))
	}
}

func TestTheInputOfAWaitingJobIsKept(t *testing.T) {
	t.Parallel()
	h := newHost(t, "slots = 1\n")
	g := h.gate(job("", "gate"))
	j := listening("cat")
	follow := input("", "first")
	first := h.submit(j, &follow)
	first.write(0, "dropped\n")
	second := h.follow(input(j.ID, "second"))
	second.await("a state", func() bool { return len(second.states) > 0 })
	second.w.Offset(api.FrameStdinEnd, second.write(0, "kept\n"), nil)
	second.send(api.FrameResize, api.Resize{Rows: 1, Cols: 2})
	g.open()
	g.drain()
	if err := second.drain(); err != nil || second.text(0) != "kept\n" || second.owner == nil || second.taken != 5 {
		t.Errorf("got %v, %q, %+v", err, second.text(0), second.owner)
	}
	if err := first.drain(); err != nil || first.owner != nil || !first.closed {
		t.Errorf("got %v, %+v", err, first.owner)
	}
}

func TestAnOwnerThatLeavesKeepsTheInputOpen(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := listening("cat")
	h.submit(j, nil)
	for at, name := range []string{"a", "b", "c"} {
		c := h.attach(j.ID, name)
		if c.owner.Received != int64(2*at) {
			t.Errorf("%s goes on at %d", name, c.owner.Received)
		}
		c.write(c.owner.Received, name+"\n")
		c.await("it came", func() bool { return strings.HasSuffix(c.text(0), name+"\n") })
		c.conn.Close()
	}
	c := h.attach(j.ID, "last")
	c.w.Offset(api.FrameStdinEnd, 6, nil)
	if err := c.drain(); err != nil || c.text(0) != "a\nb\nc\n" {
		t.Errorf("got %v, %q", err, c.text(0))
	}
}

func TestAJobWithoutInputTakesNone(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	g := h.gate(job("", "w"))
	c := h.follow(input(g.id, "me"))
	c.write(0, "unheard")
	c.await("it was told", func() bool { return c.closed })
	g.open()
	if err := c.drain(); err != nil || c.owner != nil {
		t.Errorf("got %v, %+v", err, c.owner)
	}
}

func TestWhoHasNoInputMaySendNone(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := listening("cat")
	h.submit(j, nil)
	for _, f := range []api.Follow{{Attach: true}, {}} {
		f.Job = j.ID
		c := h.follow(f)
		c.write(0, "x")
		if err := c.drain(); err == nil || err.Kind != api.Refused {
			t.Errorf("%+v: got %v", f, err)
		}
	}
	c := h.follow(api.Follow{Job: j.ID, Input: strings.Repeat("x", 1000)})
	if err := c.drain(); err == nil || err.Kind != api.Invalid {
		t.Errorf("got %v", err)
	}
	c = h.attach(j.ID, "me")
	c.w.Offset(api.FrameStdinEnd, 0, nil)
	if err := c.drain(); err != nil || c.text(0) != "" {
		t.Errorf("got %v, %q", err, c.text(0))
	}
}

func TestATerminalFromEndToEnd(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := listening("stty -echo; echo up; read a; stty size; echo $a >&2; exec sleep 1000")
	j.Terminal = &manifest.Terminal{Term: "no-such-terminal"}
	follow := input("", "me")
	c := h.submit(j, &follow)
	c.await("it was up", func() bool { return c.text(0) == "up\r\n" })
	c.send(api.FrameResize, api.Resize{Rows: 50, Cols: 120})
	at := c.write(0, "typed\r")
	c.await("it came", func() bool { return strings.HasSuffix(c.text(api.Stdout), "50 120\r\ntyped\r\n") })
	if s := c.states[len(c.states)-1]; !s.Terminal || len(s.Warnings) != 2 {
		t.Errorf("state %+v", s)
	}
	c.write(at, "\x03")
	if err := c.drain(); err != nil || c.result.Signal != "INT" || !c.result.Terminal {
		t.Errorf("got %v, %+v", err, c.result)
	}
	if info := h.show(j.ID); !info.Terminal || len(info.Warnings) != 2 {
		t.Errorf("shown %+v", info)
	}
}
