//go:build linux

package samepath

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/command"
)

// exitEnter is the exit code of an entering process that does not become the tool; what it has
// to say is on its way to the supervisor.
const exitEnter = 125

// Enter is the verb "enter" of the executor: in the namespaces that it was started in it makes the
// mounts and becomes the tool. args holds the number of the first descriptor that Wrap added.
func Enter(args []string) int {
	// Capabilities are a thread's own, and the thread that calls execve becomes the tool.
	runtime.LockOSThread()
	quitByKey()
	if len(args) != 1 {
		return exitEnter
	}
	first, err := strconv.Atoi(args[0])
	if err != nil {
		return exitEnter
	}
	for fd := first; fd < first+3; fd++ {
		unix.CloseOnExec(fd)
	}
	report := json.NewEncoder(os.NewFile(uintptr(first+1), "report"))
	var s spec
	if err = s.read(first); err == nil {
		err = s.prepare()
	}
	if err != nil {
		_ = report.Encode(verdict{Off: err.Error()})
		return exitEnter
	}
	if report.Encode(verdict{Mounted: true}) != nil || len(s.Argv) == 0 {
		return exitEnter
	}
	_ = report.Encode(verdict{Cannot: s.run()})
	return exitEnter
}

func (s *spec) read(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("unable to read what to run: %w", err)
	}
	doc := make([]byte, st.Size)
	if _, err := unix.Pread(fd, doc, 0); err != nil {
		return fmt.Errorf("unable to read what to run: %w", err)
	}
	return json.Unmarshal(doc, s)
}

// prepare makes the mounts and gives up the rights that it took.
func (s *spec) prepare() error {
	if err := s.Plan.mount(); err != nil {
		return err
	}
	if !s.Bare {
		if err := drop(s.Keep); err != nil {
			return err
		}
	}
	if err := os.Chdir(s.Plan.inside(string(s.Dir))); err != nil {
		return fmt.Errorf("unable to start in %s: %w", s.Plan.inside(string(s.Dir)), err)
	}
	return nil
}

// run becomes the tool, or says in a shell's words why not.
func (s *spec) run() *command.Cannot {
	dir, argv, env := s.Plan.inside(string(s.Dir)), words(s.Argv), words(s.Env)
	file, err := command.Find(argv[0], dir, env)
	if err == nil {
		err = syscall.Exec(file, argv, env)
		if errors.Is(err, syscall.ENOEXEC) && command.Script(file, dir) {
			err = syscall.Exec("/bin/sh", append([]string{"/bin/sh", file}, argv[1:]...), env)
		}
		err = command.Refused(argv[0], file, dir, err)
	}
	var no *command.Cannot
	if errors.As(err, &no) {
		return no
	}
	return &command.Cannot{Code: command.ExitCannotRun, Name: argv[0], Why: err.Error()}
}
