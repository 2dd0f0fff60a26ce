//go:build linux

package samepath

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/command"
)

// Step is a command that is to run at the place.
type Step struct {
	Argv []string
	Env  []string // PWD is set to the directory it starts in
	Dir  string   // below the workspace
	Mark string   // NAME=value that the process bears from its first moment on
}

// Start is a step about to be started. What is to run is File, Argv and Attr.
type Start struct {
	File string
	Argv []string
	Attr *syscall.ProcAttr

	spec, report, answer *os.File
}

// spec is what the entering process reads.
type spec struct {
	Plan plan     `json:"plan"`
	Argv [][]byte `json:"argv,omitempty"` // none: make the mounts and end
	Env  [][]byte `json:"env,omitempty"`
	Dir  []byte   `json:"dir,omitempty"`
	Keep rights   `json:"keep"` // capabilities that the tool has without a namespace too
	Bare bool     `json:"bare"` // there is no user namespace, so nothing to give up
}

// verdict is what the entering process says before it becomes the tool, or instead.
type verdict struct {
	Mounted bool            `json:"mounted,omitempty"`
	Off     string          `json:"off,omitempty"`
	Cannot  *command.Cannot `json:"cannot,omitempty"`
}

// Wrap returns how to start a step at the place, with the streams, the session and the terminal
// that attr names. Close what it returns.
func (p *Place) Wrap(self []string, s Step, attr *syscall.ProcAttr) (*Start, error) {
	own, err := ownRights()
	if err != nil {
		return nil, err
	}
	bare := own.has(unix.CAP_SYS_ADMIN)
	doc, err := json.Marshal(spec{Plan: p.plan, Argv: raw(s.Argv), Env: raw(s.Env), Dir: []byte(s.Dir), Keep: own, Bare: bare})
	if err != nil {
		return nil, fmt.Errorf("unable to say what to run: %w", err)
	}
	w := &Start{File: fmt.Sprintf("/proc/self/fd/%d", len(attr.Files)+2)}
	// The supervisor's own /proc/PID/exe is closed to a process of another user namespace.
	w.Argv = append([]string{"cyclopsd"}, self[1:]...)
	w.Argv = append(w.Argv, "enter", strconv.Itoa(len(attr.Files)))
	if err := w.open(doc); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	w.Attr = &syscall.ProcAttr{Dir: attr.Dir, Env: enterEnv(s.Mark), Sys: namespaces(attr.Sys, bare)}
	w.Attr.Files = append(slices.Clone(attr.Files), w.spec.Fd(), w.report.Fd(), p.binary.Fd())
	return w, nil
}

// enterEnv is the environment of the entering process alone. It is gone before it could need to
// collect garbage, and the tool's variables, GODEBUG among them, are not its own.
func enterEnv(mark string) []string {
	env := []string{"GOGC=off", "GORACE=atexit_sleep_ms=0"}
	if mark != "" {
		env = append(env, mark)
	}
	return env
}

func raw(words []string) [][]byte {
	all := make([][]byte, len(words))
	for i, w := range words {
		all[i] = []byte(w)
	}
	return all
}

func words(raw [][]byte) []string {
	all := make([]string, len(raw))
	for i, w := range raw {
		all[i] = string(w)
	}
	return all
}

// open makes the two ways between this process and the entering one.
func (w *Start) open(doc []byte) error {
	fd, err := unix.MemfdCreate("cyclops-enter", unix.MFD_CLOEXEC)
	if err != nil {
		return off("the host's kernel is too old: %v", err)
	}
	w.spec = os.NewFile(uintptr(fd), "what to run")
	if _, err := w.spec.WriteAt(doc, 0); err != nil {
		return fmt.Errorf("unable to say what to run: %w", err)
	}
	w.answer, w.report, err = os.Pipe()
	return err
}

// namespaces adds to how a process is started that it gets mounts of its own. Root can have them
// as it is and loses nothing; everyone else needs to be the owner of a user namespace, in which no
// other user exists.
func namespaces(sys *syscall.SysProcAttr, bare bool) *syscall.SysProcAttr {
	in := syscall.SysProcAttr{}
	if sys != nil {
		in = *sys
	}
	in.Cloneflags |= syscall.CLONE_NEWNS
	if bare {
		return &in
	}
	in.Cloneflags |= syscall.CLONE_NEWUSER
	in.UidMappings, in.GidMappings = mappings()
	in.GidMappingsEnableSetgroups = os.Getuid() == 0
	in.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP}
	return &in
}

// mappings makes every user that this process may become exist in the namespace under the same number.
func mappings() (uids, gids []syscall.SysProcIDMap) {
	if os.Getuid() == 0 {
		return rangesOf("/proc/self/uid_map"), rangesOf("/proc/self/gid_map")
	}
	return []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}},
		[]syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
}

// rangesOf reads which numbers are users or groups here at all.
func rangesOf(file string) []syscall.SysProcIDMap {
	data, err := os.ReadFile(file)
	var all []syscall.SysProcIDMap
	for line := range strings.Lines(string(data)) {
		var first, outside, count int
		if n, _ := fmt.Sscan(line, &first, &outside, &count); n == 3 {
			all = append(all, syscall.SysProcIDMap{ContainerID: first, HostID: first, Size: count})
		}
	}
	if err != nil || len(all) == 0 {
		return []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}
	}
	return all
}

// Await returns when the process that was started runs the tool: nil; or has said why not: an
// *Off, after which the tool can be started without a place, or a *command.Cannot. Once stop is
// closed it returns an error that is neither, os.ErrDeadlineExceeded.
func (w *Start) Await(stop <-chan struct{}) error {
	w.report.Close()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-stop:
			w.answer.Close()
		case <-done:
		}
	}()
	said, err := io.ReadAll(io.LimitReader(w.answer, 64<<10))
	if err != nil {
		return os.ErrDeadlineExceeded
	}
	return judgeAnswer(said)
}

func judgeAnswer(said []byte) error {
	mounted := false
	for dec := json.NewDecoder(bytes.NewReader(said)); ; {
		var v verdict
		if err := dec.Decode(&v); err != nil {
			break
		}
		switch {
		case v.Off != "":
			return &Off{v.Off}
		case v.Cannot != nil:
			return v.Cannot
		}
		mounted = mounted || v.Mounted
	}
	if !mounted {
		return off("the process that was to make the mounts ended without a word")
	}
	return nil
}

// Close gives back what Wrap took.
func (w *Start) Close() error {
	for _, f := range []*os.File{w.spec, w.report, w.answer} {
		if f != nil {
			f.Close()
		}
	}
	return nil
}
