//go:build linux

// Package command finds the file that a command names and says in a shell's words why it does
// not run.
package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/environ"
)

// The exit codes with which a shell says that a command did not run.
const (
	ExitCannotRun = 126
	ExitNotFound  = 127
)

// Cannot says why a command does not run, with a shell's exit code and in a shell's words.
type Cannot struct {
	Code int    `json:"code"`
	Name string `json:"name"`
	Why  string `json:"why"`
}

func (e *Cannot) Error() string { return fmt.Sprintf("%s: %s", e.Name, e.Why) }

// Find returns the file that a shell would run for name in dir with the PATH of env.
func Find(name, dir string, env []string) (string, error) {
	if name == "" {
		return "", &Cannot{ExitNotFound, "''", "command not found"}
	}
	if strings.Contains(name, "/") {
		return name, nil // the kernel resolves it and says what is wrong
	}
	path := environ.Get(env, "PATH")
	if path == "" {
		path = "/usr/local/bin:/usr/bin:/bin"
	}
	found := ""
	for _, d := range filepath.SplitList(path) {
		if !filepath.IsAbs(d) {
			d = filepath.Join(dir, d)
		}
		file := filepath.Join(d, name)
		if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
			continue
		}
		if unix.Access(file, unix.X_OK) == nil {
			return file, nil
		}
		found = file
	}
	if found != "" {
		return "", &Cannot{ExitCannotRun, name, "permission denied"}
	}
	return "", &Cannot{ExitNotFound, name, "command not found"}
}

// Refused turns what exec answered for file into a shell's words.
func Refused(name, file, dir string, err error) error {
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	info, serr := os.Stat(file)
	switch {
	case errors.Is(err, syscall.ENOENT) && serr == nil:
		return &Cannot{ExitNotFound, name, "its interpreter or loader is not there"}
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		return &Cannot{ExitNotFound, name, "no such file"}
	case serr == nil && info.IsDir():
		return &Cannot{ExitCannotRun, name, "is a directory"}
	case errors.Is(err, syscall.ENOEXEC):
		return &Cannot{ExitCannotRun, name, "cannot execute binary file"}
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return &Cannot{ExitCannotRun, name, strings.ToLower(errno.Error())}
	}
	return err
}

// Script tells whether a file that exec does not know is a shell script without a first line
// that says so, which a shell runs all the same.
func Script(file, dir string) bool {
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 256)
	n, err := f.Read(head)
	if err != nil && err != io.EOF {
		return false
	}
	line, _, _ := bytes.Cut(head[:n], []byte{'\n'})
	return bytes.IndexByte(line, 0) < 0
}
