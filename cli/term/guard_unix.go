//go:build unix

package term

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// guardLimit is how long a guard may take to answer: without one the terminal is only restored
// by a process that ends as it should.
const guardLimit = 2 * time.Second

// Guard is the process that restores the terminal when this one is killed.
type Guard struct {
	cmd     *exec.Cmd
	orders  *os.File
	answers *os.File
}

// StartGuard starts argv as the guard of terminal; it is to call ServeGuard.
func StartGuard(argv []string, terminal, screen *os.File) (*Guard, error) {
	orders, toGuard, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer orders.Close()
	fromGuard, answers, err := os.Pipe()
	if err != nil {
		toGuard.Close()
		return nil, err
	}
	defer answers.Close()
	g := &Guard{cmd: exec.Command(argv[0], argv[1:]...), orders: toGuard, answers: fromGuard}
	g.cmd.Stdin, g.cmd.Stdout = terminal, screen
	g.cmd.ExtraFiles = []*os.File{orders, answers}
	g.cmd.Dir = "/"
	// A session of its own: what is sent to this process's group must not end or stop its guard.
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := g.cmd.Start(); err != nil {
		toGuard.Close()
		fromGuard.Close()
		return nil, fmt.Errorf("unable to start the terminal's guard: %w", err)
	}
	return g, nil
}

// ServeGuard is what the process that StartGuard starts does.
func ServeGuard() {
	signal.Ignore(syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGTSTP, syscall.SIGTTOU, syscall.SIGPIPE)
	RunGuard(os.Stdin, os.Stdout, os.NewFile(3, "orders"), os.NewFile(4, "answers"))
}

// Before has the guard note the terminal's settings before MakeRaw.
func (g *Guard) Before() error { return g.ask(orderBefore) }

// Raw has the guard note them after it; from now on it guards.
func (g *Guard) Raw() error { return g.ask(orderRaw) }

// Free tells the guard that the terminal is restored.
func (g *Guard) Free() error { return g.ask(orderFree) }

// ask waits for the answer, so that no order overtakes what it speaks of.
func (g *Guard) ask(order byte) error {
	deadline := time.Now().Add(guardLimit)
	_ = g.orders.SetWriteDeadline(deadline)
	if _, err := g.orders.Write([]byte{order}); err != nil {
		return err
	}
	_ = g.answers.SetReadDeadline(deadline)
	var b [1]byte
	_, err := io.ReadFull(g.answers, b[:])
	return err
}

// Undo tells the guard what to write to the screen. It must not slow the job's output: what a
// guard does not take at once it misses.
func (g *Guard) Undo(reset string) {
	if len(reset) > maxUndo {
		return
	}
	_ = g.orders.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	_, _ = g.orders.Write(append([]byte{orderUndo, byte(len(reset) >> 8), byte(len(reset))}, reset...))
}

// Close ends the guard, which has nothing to do any more.
func (g *Guard) Close() {
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait()
	g.orders.Close()
	g.answers.Close()
}
