//go:build unix

package term

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// What a client tells its guard: a byte, two bytes of length, as many bytes. The end of the orders
// is the news that the client is no more.
const (
	orderArm    = 'a' // the terminal's settings before and after it was made raw
	orderDisarm = 'd' // the terminal is restored; there is nothing to do
	orderUndo   = 'u' // what resets the modes that the job switched on
)

// settings are how a terminal is set.
type settings = unix.Termios

func settingsOf(f *os.File) (settings, error) {
	s, err := unix.IoctlGetTermios(int(f.Fd()), getSettings)
	if err != nil {
		return settings{}, err
	}
	return *s, nil
}

// Guard is the process that restores the terminal when this one is killed. A nil Guard guards nothing.
type Guard struct {
	cmd    *exec.Cmd
	orders *os.File
}

// StartGuard starts argv as the guard of terminal; it is to call ServeGuard. It does not wait for
// the guard: what a client tells it early waits in a pipe that outlives the client.
func StartGuard(argv []string, terminal, screen *os.File) (*Guard, error) {
	fromHere, orders, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("unable to start the terminal's guard: %w", err)
	}
	defer fromHere.Close()
	g := &Guard{cmd: exec.Command(argv[0], argv[1:]...), orders: orders}
	g.cmd.Stdin, g.cmd.Stdout = terminal, screen
	g.cmd.ExtraFiles = []*os.File{fromHere}
	g.cmd.Dir = "/"
	// A session of its own: what is sent to this process's group must not end or stop its guard.
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := g.cmd.Start(); err != nil {
		orders.Close()
		return nil, fmt.Errorf("unable to start the terminal's guard: %w", err)
	}
	return g, nil
}

func (g *Guard) arm(before, raw settings) {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.BigEndian, before) // neither fails: a Buffer, and types of fixed size
	_ = binary.Write(&b, binary.BigEndian, raw)
	g.tell(orderArm, b.Bytes())
}

func (g *Guard) disarm() { g.tell(orderDisarm, nil) }

// Undo tells the guard what to write to the screen.
func (g *Guard) Undo(reset string) { g.tell(orderUndo, []byte(reset)) }

// tell must not slow the job's output: what a guard that is stopped has no room for, it misses. It
// tries once and without a deadline, which on a machine that is busy passes before the write.
func (g *Guard) tell(order byte, data []byte) {
	if g == nil || len(data) > maxOrder {
		return
	}
	whole := append([]byte{order, byte(len(data) >> 8), byte(len(data))}, data...)
	if orders, err := g.orders.SyscallConn(); err == nil {
		_ = orders.Write(func(fd uintptr) bool {
			_, _ = unix.Write(int(fd), whole)
			return true
		})
	}
}

// Close ends the guard, which has nothing to do any more.
func (g *Guard) Close() {
	if g == nil {
		return
	}
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait()
	g.orders.Close()
}

// maxOrder is the most that one order carries; a pipe takes that much whole or not at all.
const maxOrder = 1000

// ServeGuard is what the process that StartGuard starts does: it waits until its client is no
// more. If that was killed in raw mode, it restores the terminal's settings, provided they still
// are what the client made them, and resets the modes that the job had switched on.
func ServeGuard() {
	signal.Ignore(syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGTSTP, syscall.SIGTTOU, syscall.SIGPIPE)
	g := guarding{terminal: os.Stdin}
	orders := os.NewFile(3, "orders")
	for g.order(orders) {
	}
	if !g.armed {
		return
	}
	if now, err := settingsOf(g.terminal); err == nil && now == g.raw {
		_ = unix.IoctlSetTermios(int(g.terminal.Fd()), setSettings, &g.before)
	}
	_, _ = os.Stdout.Write(g.undo)
}

// guarding is a guard at work.
type guarding struct {
	terminal    *os.File
	before, raw settings
	armed       bool
	undo        []byte
}

// order takes the next order; false: there are none any more.
func (g *guarding) order(r io.Reader) bool {
	var head [3]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return false
	}
	data := make([]byte, int(head[1])<<8|int(head[2]))
	if _, err := io.ReadFull(r, data); err != nil {
		return false
	}
	switch head[0] {
	case orderArm:
		from := bytes.NewReader(data)
		g.armed = binary.Read(from, binary.BigEndian, &g.before) == nil && binary.Read(from, binary.BigEndian, &g.raw) == nil
	case orderDisarm:
		g.armed = false
	case orderUndo:
		g.undo = data
	}
	return true
}
