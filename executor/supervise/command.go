//go:build linux

package supervise

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
	"github.com/cyclops-fpga/cyclops/manifest"
)

// The exit codes with which a shell says that a command did not run.
const (
	exitCannotRun = 126
	exitNotFound  = 127
)

// cannot says why a command does not run, with a shell's exit code and in a shell's words.
type cannot struct {
	code int
	name string
	why  string
}

func (e *cannot) Error() string { return fmt.Sprintf("%s: %s", e.name, e.why) }

// commandOf returns the argv of a step.
func commandOf(s manifest.Step) []string {
	if s.Run != "" {
		return []string{"/bin/sh", "-c", s.Run}
	}
	return s.Words()
}

// find returns the file that a shell would run for name in dir with the PATH of env.
func find(name, dir string, env []string) (string, error) {
	if name == "" {
		return "", &cannot{exitNotFound, "''", "command not found"}
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
		return "", &cannot{exitCannotRun, name, "permission denied"}
	}
	return "", &cannot{exitNotFound, name, "command not found"}
}

// refused turns what exec answered for file into a shell's words.
func refused(name, file, dir string, err error) error {
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	info, serr := os.Stat(file)
	switch {
	case errors.Is(err, syscall.ENOENT) && serr == nil:
		return &cannot{exitNotFound, name, "its interpreter or loader is not there"}
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		return &cannot{exitNotFound, name, "no such file"}
	case serr == nil && info.IsDir():
		return &cannot{exitCannotRun, name, "is a directory"}
	case errors.Is(err, syscall.ENOEXEC):
		return &cannot{exitCannotRun, name, "cannot execute binary file"}
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return &cannot{exitCannotRun, name, strings.ToLower(errno.Error())}
	}
	return err
}

// script tells whether a file that exec does not know is a shell script without a first line
// that says so, which a shell runs all the same.
func script(file, dir string) bool {
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
