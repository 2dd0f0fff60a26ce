//go:build linux

package powerfs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a file system in a process of its own. One in the process that uses it could wait for
// itself: a page of a mapped file is read while the garbage collector waits for its reader, and a
// process that is forked closes files before it is another.
type Process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	trace string
}

// Main is that process: args are backing, where to mount it, the ledger's name, how long a sync
// takes, which one fails, and the file for the trace. It ends with its standard input.
func Main(args []string) int {
	if err := serve(args); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func serve(args []string) error {
	if len(args) != 6 {
		return errors.New("usage: BACKING AT LEDGER SYNC-TAKES FAIL-SYNC TRACE")
	}
	takes, err := time.ParseDuration(args[3])
	if err != nil {
		return err
	}
	fails, err := strconv.Atoi(args[4])
	if err != nil {
		return err
	}
	f, err := Mount(args[0], args[1], Options{Ledger: args[2], SyncTakes: takes, FailSync: fails})
	if err != nil {
		return err
	}
	fmt.Println(readyLine)
	_, _ = io.Copy(io.Discard, os.Stdin)
	err = f.Unmount()
	if err != nil { // whoever used it died and left something open
		err = errors.Join(err, unix.Unmount(args[1], unix.MNT_DETACH))
	}
	return errors.Join(err, f.Trace().Save(args[5]))
}

const readyLine = "ready"

// Start runs Main by argv, which arguments follow, and returns when the file system is mounted.
func Start(argv []string, backing, at, trace string, o Options) (*Process, error) {
	p := &Process{cmd: exec.Command(argv[0], append(argv[1:len(argv):len(argv)], backing, at, o.Ledger, o.SyncTakes.String(), strconv.Itoa(o.FailSync), trace)...), trace: trace}
	p.cmd.Stderr = os.Stderr
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("unable to mount: %w", err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if line != readyLine+"\n" {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, errors.Join(errors.New(line), err, stdin.Close(), p.cmd.Wait()))
	}
	return p, nil
}

// Stop unmounts the file system, in which nothing may be open, and returns what happened in it.
func (p *Process) Stop() (*Trace, error) {
	if err := errors.Join(p.stdin.Close(), p.cmd.Wait()); err != nil {
		return nil, fmt.Errorf("unable to unmount: %w", err)
	}
	return Load(p.trace)
}
